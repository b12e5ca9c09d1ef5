// What a client may be given, judged by what handlers made, for whom, and what has changed since.
import type { Received } from './http1.js'
import { TYPE } from './handlers.js'
import { TTL_S } from './plan.js'
import { isPersonal } from './routes.js'
import { conditionFaults, rangeFault } from './parts.js'
import type { Run, Sent, World } from './world.js'

/** A response, the request that it is for, and the run of a handler that it was made by. */
export interface Given {
  readonly sent: Sent
  readonly received: Received
  readonly run: Run
  /** What the cache says of it. */
  readonly status: string
}

/** Says what is wrong with a response, if anything is. */
export function judge (world: World, sent: Sent, received: Received): void {
  const { status: code, fields, isWhole } = received
  const status = fields['cache-status'] ?? ''
  const fault = (rule: string, how: string): void =>
    world.fault(rule, `${how}; ${sent.id} ${JSON.stringify(sent.asked)} was given ${code} ${JSON.stringify(fields)}`)
  if (fields['x-echo'] !== sent.id) fault('echo', `the response is of ${String(fields['x-echo'])}`)
  if (sent.asked.method === 'PUT' || sent.asked.method === 'DELETE') return
  if (code === 504 && sent.asked.directive === 'only-if-cached') return
  for (const [rule, how] of conditionFaults(world, sent, received)) fault(rule, how)
  if (code === 412 || code === 416 || (code === 304 && fields['x-run'] === undefined)) return
  const run = world.runs.get(fields['x-run'] ?? '')
  if (run === undefined) return fault('run', 'no handler made it')
  if (!isWhole && !run.isBroken && !sent.left) fault('whole', 'it has no end')
  const given = { sent, received, run, status }
  for (const [rule, find] of Object.entries(RULES)) {
    const how = find(given, world)
    if (typeof how === 'string') {
      fault(rule, `${how} (run ${run.id} of ${run.sent.id} ${JSON.stringify(run.sent.asked)}${run.isRefresh ? ', a refresh' : ''})`)
    }
  }
}

type Rule = (given: Given, world: World) => string | undefined | false

/** Each returns what is wrong, if anything is. */
const RULES: { readonly [rule: string]: Rule } = {
  status: ({ received: { status }, run }) => status !== run.status && !(run.status === 200 && (status === 206 || status === 304)) &&
    !(run.isBroken && status === 500) && `the handler made a ${run.status}`,
  identity: ({ sent, run }) => sent.identity !== run.sent.identity && `it was made for ${run.sent.identity}, asked was ${sent.identity}`,
  personal: ({ sent, run }) =>
    run.sent !== sent && (isPersonal(sent.asked) || isPersonal(run.sent.asked)) && 'credentials were not looked at',
  shared: ({ sent, run }) => run.isUnshared && run.sent !== sent && 'nobody else was to have it',
  broken: ({ sent, received, run }, world) => run.isBroken && received.isWhole && !mayEndSo(world, sent, run) && received.status !== 304 &&
    received.status !== 500 && run.sent.asked.method !== 'HEAD' && 'the handler did not end it',
  bytes: ({ sent, received, run }, world) =>
    bytesFault(sent, { ...received, isWhole: received.isWhole && !mayEndSo(world, sent, run) }, run),
  type: ({ received: { status, fields }, run }) => fields['content-type'] !== undefined && isPlain(run) &&
    !['206'].includes(String(status)) && fields['content-type'] !== TYPE && 'another type',
  version: ({ sent, run }, world) => versionFault(world, sent, run),
  fresh: (given, world) => freshFault(world, given),
  own: ({ sent, run, status }) =>
    (/fwd=(?:bypass|method)/.test(status) || sent.asked.directive === 'no-store') && run.sent !== sent && 'the handler was to be asked',
  ended: ({ sent, run }, world) => endedFault(world, sent, run),
  range: ({ sent, received, run }) => received.status === 206 && rangeFault(sent, received, run)
}

/** A response that Fastify breaks off over HTTP/2 looks as if it had ended. */
const mayEndSo = ({ plan }: World, sent: Sent, run: Run): boolean =>
  plan.protocol === 'http2' && run.isBroken && run.finishedSeq > sent.sentSeq

const isPlain = ({ bytes, status }: Run): boolean => bytes !== undefined && bytes.byteLength > 0 && status === 200

function bytesFault (sent: Sent, { status, body, fields, isWhole }: Received, { bytes }: Run): string | undefined {
  if (bytes === undefined || status === 206 || status === 304 || status === 500) return undefined
  const length = fields['content-length']
  if (sent.asked.method === 'HEAD') {
    return body.byteLength > 0
      ? 'a HEAD has content'
      : length !== undefined && Number(length) !== bytes.byteLength ? `${length} bytes, GET has ${bytes.byteLength}` : undefined
  }
  if (isWhole ? body.equals(bytes) : body.equals(bytes.subarray(0, body.byteLength))) return undefined
  return `${JSON.stringify(body.toString('latin1', 0, 90))} (${body.byteLength} bytes) in place of ${JSON.stringify(bytes.toString('latin1', 0, 90))} (${bytes.byteLength} bytes)`
}

function versionFault (world: World, sent: Sent, run: Run): string | undefined {
  const missed = world.changes.find(({ covers, soft, ackedSeq, version }) =>
    !soft && ackedSeq < sent.sentSeq && version > run.version && covers(run.sent))
  return missed && `version ${run.version}, ${missed.version} had been acknowledged`
}

/** Runs of handlers after which what `run` made held: its own, a 304, a HEAD with the same entity tag. */
export function confirmations (world: World, run: Run): Run[] {
  return [...world.runs.values()].filter((other) => other === run || (
    other.etag === run.etag && other.sent.identity === run.sent.identity && other.finishedSeq < Infinity &&
    (other.status === 304 || (other.sent.asked.method === 'HEAD' && other.status === 200))))
}

function freshFault (world: World, { sent, run, status, received }: Given): string | undefined {
  const confirmed = confirmations(world, run)
  const isStored = confirmed.every(({ finishedSeq }) => finishedSeq < sent.sentSeq)
  if (!isStored) return undefined
  const { directive } = sent.asked
  const { staleWhileRevalidate, staleIfError, keep } = world.plan.profile
  const at = Math.max(...confirmed.map(({ finishedAt }) => finishedAt))
  const ageMs = sent.sentAt - at
  const startedSeq = Math.max(...confirmed.map((one) => one.startedSeq))
  const softAt = Math.min(...world.changes.filter(({ soft, covers, beganSeq, ackedSeq }) =>
    soft && covers(run.sent) && beganSeq > startedSeq && ackedSeq < sent.sentSeq).map(({ ackedAt }) => ackedAt))
  const staleMs = sent.sentAt - Math.min(at + TTL_S * 1_000, softAt)
  const said = /; hit; ttl=(-?\d+)/.exec(status)?.[1]
  // Whoever waited for a handler that failed is given the same as its own client.
  const inPlaceOfError = /fwd=(?:stale|request); (?:fwd-status=5|collapsed)/.test(status)
  // Whoever comes while the store has not yet said whether it keeps a response waits for that, and is then given the response.
  if (said === undefined && /; collapsed/.test(status) && staleMs < 0) return undefined
  if (said === undefined && !inPlaceOfError) return `it was stored, and the cache says ${JSON.stringify(status)}`
  if (inPlaceOfError) return staleMs >= staleIfError * 1_000 ? `in place of an error, stale for ${staleMs} ms` : undefined
  if (Number(received.fields.age) < Math.floor(ageMs / 1_000)) return `its age is ${String(received.fields.age)}, it is ${ageMs} ms old`
  if (staleMs >= 0) {
    // What was invalidated softly is kept for as long as it would have been.
    const leftMs = (TTL_S + Math.max(keep, staleWhileRevalidate, staleIfError)) * 1_000 - ageMs
    const isTaken = (directive === 'max-stale' || (directive === 'max-stale=3' && staleMs <= 3_000)) && leftMs > 0
    if (staleMs > 0 && Number(said) >= 0) return `it has been stale for ${staleMs} ms`
    if (staleMs >= staleWhileRevalidate * 1_000 && !isTaken) return `it has been stale for ${staleMs} ms, which is beyond every window`
  }
  if (directive === 'no-cache' || directive === 'max-age=0' || (directive === 'max-age=5' && ageMs >= 5_000)) {
    return `it is ${ageMs} ms old, which the client did not want`
  }
  return directive === 'min-fresh=5' && staleMs > -5_000 ? `it is fresh for ${-staleMs} ms, the client asked for more` : undefined
}

/** A handler's 404, and what is not to be stored, end what was stored when they were asked for. */
function endedFault (world: World, sent: Sent, run: Run): string | undefined {
  const confirmed = confirmations(world, run)
  const end = [...world.runs.values()].find((other) => {
    const askedSeq = other.isRefresh ? other.startedSeq : other.sent.sentSeq
    return other.sent.identity === run.sent.identity && other.finishedSeq < sent.sentSeq && isEnd(other) &&
      confirmed.every(({ finishedSeq }) => finishedSeq < askedSeq)
  })
  return end && `${end.id} of ${end.sent.id} ${JSON.stringify(end.sent.asked)}${end.isRefresh ? ', a refresh,' : ''} had ended it`
}

/** Of what bypasses the cache nothing is known there, and what a client did not wait for may not be a whole response. */
function isEnd ({ sent, status, isRefresh, isUnshared, isBroken }: Run): boolean {
  const isForwarded = isRefresh || /fwd=(?:miss|stale|request)/.test(sent.given?.fields['cache-status'] ?? '')
  if (!isForwarded || sent.asked.method === 'HEAD' || sent.left || isBroken) return false
  return status === 404 || (isUnshared && status === 200 && sent.asked.mood !== 'hijack')
}
