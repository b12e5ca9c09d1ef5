// Reads the body of a request, up to a limit in bytes, in pieces of any size.
import type { IncomingMessage } from 'node:http'

function failure (statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode })
}

/** Resolves to the whole body, in new memory. Rejects with the status 413 if the body is larger than `maxBytes`. */
export function readBody (payload: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = failure(413, `the body is larger than ${maxBytes} bytes`)
  if (Number(payload.headers['content-length']) > maxBytes) return Promise.reject(tooLarge)
  return new Promise((resolve, reject) => {
    let body: Buffer = Buffer.alloc(0)
    let bytes = 0
    const add = (piece: Buffer): void => {
      if (bytes + piece.byteLength > maxBytes) {
        // The rest of the body is dropped and the connection stays open, so that the client receives the response.
        payload.off('data', add).resume()
        reject(tooLarge)
        return
      }
      // The buffer is doubled, so that the cost of copying stays linear. A list of pieces would take a hundred bytes for each piece.
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
