// The body of a request, gathered as it comes: bounded by its bytes, however small the pieces are that it comes in.
import type { IncomingMessage } from 'node:http'

function failure (statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode })
}

/** Settles with the whole body, in memory of its own. Rejects with the status 413 when it is larger than `maxBytes`. */
export function readBody (payload: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = failure(413, `the body is larger than ${maxBytes} bytes`)
  if (Number(payload.headers['content-length']) > maxBytes) return Promise.reject(tooLarge)
  return new Promise((resolve, reject) => {
    let body: Buffer = Buffer.alloc(0)
    let bytes = 0
    const add = (piece: Buffer): void => {
      if (bytes + piece.byteLength > maxBytes) {
        // What comes yet is dropped: the client is told why, which it would not be if the connection were closed.
        payload.off('data', add).resume()
        reject(tooLarge)
        return
      }
      // Doubled, so that copying stays linear. A list of pieces would take a hundred bytes for each, be it one byte long.
      const neededBytes = bytes + piece.byteLength
      if (neededBytes > body.byteLength) body = resized(body, Math.max(neededBytes, Math.min(body.byteLength * 2, maxBytes)))
      piece.copy(body, bytes)
      bytes += piece.byteLength
    }
    payload.on('data', add)
      .on('end', () => resolve(bytes === body.byteLength ? body : resized(body, bytes)))
      .on('error', () => reject(failure(400, 'the body ended early')))
  })
}

function resized (from: Buffer, bytes: number): Buffer {
  const to = Buffer.allocUnsafeSlow(bytes)
  from.copy(to, 0, 0, bytes)
  return to
}
