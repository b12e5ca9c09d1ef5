// What a client may be given in place of a whole response: 304, 412, 416, and the parts of a 206 (RFC 9110 sections 13 to 15).
import type { Received } from './http1.js'
import type { Run, Sent, World } from './world.js'

type Fault = readonly [rule: string, how: string]

const isNamedIn = (tags: string | undefined, tag: string | undefined): boolean =>
  tags !== undefined && tag !== undefined && tags.includes(tag.replace(/^W\//, ''))

export function conditionFaults (world: World, sent: Sent, { status, fields, body }: Received): Fault[] {
  const { asked, tags } = sent
  const { etag } = fields
  if (status === 304) return notModifiedFaults(world, sent, etag)
  if (status === 206 && asked.range === undefined) return [['range', 'nobody asked for a part']]
  if (status === 206 && tags.ifRange !== undefined && !isNamedIn(tags.ifRange, etag)) {
    return [['range', 'a part of another version than If-Range names']]
  }
  const faults: Fault[] = []
  if (status === 412 && (tags.ifMatch === undefined || isNamedIn(tags.ifMatch, etag))) faults.push(['condition', 'no condition has failed'])
  if (status === 416 && asked.range === undefined) faults.push(['range', 'nobody asked for a part'])
  if ((status === 412 || status === 416) && body.byteLength > 0) faults.push(['condition', `content: ${body.toString('latin1', 0, 100)}`])
  return faults
}

function notModifiedFaults (world: World, sent: Sent, etag: string | undefined): Fault[] {
  if (!isNamedIn(sent.tags.ifNoneMatch, etag)) {
    return [['condition', `a 304 of ${String(etag)}, the client named ${String(sent.tags.ifNoneMatch)}`]]
  }
  const run = world.tags.get(etag as string)
  if (run === undefined) return []
  if (run.sent.identity !== sent.identity) {
    return [['identity', `a 304 of what was made for ${run.sent.identity}, asked was ${sent.identity}`]]
  }
  const missed = world.changes.find(({ covers, soft, ackedSeq, version }) =>
    !soft && ackedSeq < sent.sentSeq && version > run.version && covers(sent))
  return missed === undefined ? [] : [['version', `a 304 of version ${run.version}, ${missed.version} had been acknowledged`]]
}

/** A 206, one part or several, each the very slice of the whole that it says it is. */
export function rangeFault (sent: Sent, { fields, body, isWhole }: Received, { bytes }: Run): string | undefined {
  if (bytes === undefined || !isWhole || sent.asked.method === 'HEAD') return undefined
  const boundary = /^multipart\/byteranges; *boundary="?([^";]+)/.exec(fields['content-type'] ?? '')?.[1]
  if (boundary === undefined) return sliceFault(fields['content-range'], body, bytes)
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1, -1)
  if (parts.length < 2) return 'several parts, of which there are none'
  for (const part of parts) {
    const [head = '', content = ''] = part.split('\r\n\r\n')
    const fault = sliceFault(/content-range: ([^\r\n]*)/i.exec(head)?.[1], Buffer.from(content.replace(/\r\n$/, ''), 'latin1'), bytes)
    if (fault !== undefined) return fault
  }
  return undefined
}

function sliceFault (range: string | undefined, body: Buffer, bytes: Buffer): string | undefined {
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range ?? '') ?? []
  if (Number(size) !== bytes.byteLength) return `a part of ${String(size)} bytes, the whole has ${bytes.byteLength}`
  return body.equals(bytes.subarray(Number(first), Number(last) + 1))
    ? undefined
    : `${String(range)} are other bytes: ${JSON.stringify(body.toString('latin1', 0, 60))}, ${JSON.stringify(body.toString('latin1', body.byteLength - 40))} (${body.byteLength} bytes)`
}
