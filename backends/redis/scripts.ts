// The scripts that run on the server. Each uses only one key, as a Cluster requires. After its first use, it is sent by its hash.
import { createHash } from 'node:crypto'
import type { ScriptCommands } from './driver.js'

/** A script, and the hash by which a server that has run it before knows it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/** The arguments of a script: its key, then its other values. */
export type ScriptArguments = readonly [key: string, ...values: Array<string | number | Buffer>]

/** Sends one command. Returns the server's response. Rejects with errors of ours. */
export type Send = (command: (to: ScriptCommands) => unknown) => Promise<unknown>

/** Runs scripts. Returns integers as numbers, and text as bytes. */
export class Scripts {
  readonly #sent = new Set<Script>()

  /**
   * Runs a script. Its text is sent the first time, and whenever the server has forgotten it. This is not left to the driver's
   * `defineCommand`, because that would add methods to caller-owned clients.
   */
  run (script: Script, args: ScriptArguments, send: Send): Promise<unknown> {
    const whole = (to: ScriptCommands): unknown => to.evalBuffer(script.text, 1, ...args)
    if (!this.#sent.has(script)) {
      this.#sent.add(script)
      return send(whole)
    }
    return send((to) => to.evalshaBuffer === undefined ? whole(to) : to.evalshaBuffer(script.sha, 1, ...args)).catch((error) => {
      if ((error as { code?: unknown }).code !== 'NOSCRIPT') throw error
      return send(whole)
    })
  }
}

function script (text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

// The server's time, in milliseconds.
const CLOCK = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

// What precedes the value of an entry, as in codec.ts. Another type of value, such as a list, is not ours: there is no head.
const HEAD = `local key = KEYS[1]
local head = redis.pcall('GETRANGE', key, 0, 47)
if type(head) == 'table' then
  if not string.find(head.err, 'WRONGTYPE', 1, true) then return head end
  head = ''
end
local isRecord = string.sub(head, 1, 4) == 'FRC2' and #head == 48
local epoch, given, stored, holder, leaseUntil, aloneUntil = '', 0, 0, 0, 0, 0
if isRecord then
  epoch = string.sub(head, 13, 20)
  given, stored, holder, leaseUntil, aloneUntil = struct.unpack('>I4I4I4dd', head, 21)
end
`

/**
 * Stores a value, unless it arrives too late. Arguments: the value, its expiry time by the server's clock, and the time from which on the
 * script refuses. Returns 1 if the value was stored, otherwise 0; and the server's time.
 */
export const SET = script(`${CLOCK}if now >= tonumber(ARGV[3]) then return {0, now} end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[2])
return {1, now}`)

/**
 * Gives out a token. Arguments: the caller's time, leaseMs, fillMs, the expiry time of the entry that was seen or '', and an
 * epoch in case a record has to be made. Returns the text of the token, or the rest of the lease, or a list of the entry. It writes only
 * if it gives out a token. An entry of the older format becomes one of the newer format.
 */
export const CLAIM = script(`${CLOCK}${HEAD}local isOld = string.sub(head, 1, 4) == 'FRC1' and #head >= 12
local expiresAt = (isRecord or isOld) and struct.unpack('>d', head, 5) or 0
if expiresAt > tonumber(ARGV[1]) and expiresAt ~= tonumber(ARGV[4]) then return {redis.call('GET', key)} end
local leaseMs, fillMs = tonumber(ARGV[2]), tonumber(ARGV[3])
if leaseMs > 0 and aloneUntil <= now then
  if leaseUntil > now then return leaseUntil - now end
  holder, leaseUntil = given + 1, now + leaseMs
end
given = given + 1
if not isRecord then epoch = ARGV[5] end
local record = struct.pack('>I4I4I4dd', given, stored, holder, leaseUntil, aloneUntil)
if isRecord then
  redis.call('SETRANGE', key, 20, record)
elseif isOld then
  redis.call('SET', key, 'FRC2' .. string.sub(head, 5, 12) .. epoch .. record .. redis.call('GETRANGE', key, 12, -1), 'KEEPTTL')
else
  redis.call('SET', key, 'FRC2' .. struct.pack('>d', 0) .. epoch .. record, 'PX', fillMs)
end
if isRecord or isOld then
  local leftMs = redis.call('PTTL', key)
  if leftMs >= 0 and leftMs < fillMs then redis.call('PEXPIRE', key, fillMs) end
end
return string.format('%.0f.%.0f.%s', given, now + fillMs, epoch)`)

// The token that the script is about: its epoch, its number and its deadline. `isMine` is whether it has the lease, or had it last.
const token = (at: number): string => `local number = tonumber(ARGV[${at + 1}])
local isValid = isRecord and epoch == ARGV[${at}] and number <= given and now < tonumber(ARGV[${at + 2}])
local isMine = isRecord and epoch == ARGV[${at}] and holder == number
`

/**
 * Makes the lease of a token end later. Arguments: the token, and leaseMs, which may be 0. Returns -1 if the token is valid and nobody
 * else has the lease, otherwise the rest of their lease. A token with which an entry was stored is not valid any more.
 */
export const PROLONG = script(`${CLOCK}${HEAD}${token(1)}local leaseMs = tonumber(ARGV[4])
local busyMs = 0
if leaseUntil > now and not isMine then busyMs = leaseUntil - now end
if not isValid or number == stored or (leaseMs > 0 and busyMs > 0) then return busyMs end
if leaseMs > 0 then redis.call('SETRANGE', key, 28, struct.pack('>I4d', number, now + leaseMs)) end
return -1`)

/**
 * Stores an entry for a token, and ends the token's lease. Arguments: those of SET, the token, the expiry time of the entry that it is to
 * replace or '', and the caller's time. The value begins with a head in which the record is missing. It is written into the
 * stored value, because a text that is put together in a script takes the server longer than a second command. Returns what SET does, or 2
 * and the server's time if the token does not allow it, or another entry is there, or the entry has expired on its way.
 */
export const SETTLE = script(`${CLOCK}if now >= tonumber(ARGV[3]) then return {0, now} end
${HEAD}${token(4)}if not isValid then return {2, now} end
local present = struct.unpack('>d', head, 5)
if present <= tonumber(ARGV[8]) then present = 0 end
if ARGV[7] ~= '' and tonumber(ARGV[7]) ~= present then return {2, now} end
if isMine then holder, leaseUntil = 0, 0 end
if number == stored or (number < stored and ARGV[7] == '') or tonumber(ARGV[2]) <= now then
  if isMine then redis.call('SETRANGE', key, 28, struct.pack('>I4d', holder, leaseUntil)) end
  return {2, now}
end
redis.call('SET', key, ARGV[1], 'PXAT', ARGV[2])
redis.call('SETRANGE', key, 20, struct.pack('>I4I4I4dd', given, math.max(stored, number), holder, leaseUntil, aloneUntil))
return {1, now}`)

/**
 * Ends the lease of a token without an entry. Arguments: the token, and aloneMs, which may be 0. If no other token was given out and there
 * is no entry, the record is not kept longer than for aloneMs.
 */
export const RELEASE = script(`${CLOCK}${HEAD}${token(1)}if not isValid then return 0 end
local aloneMs = tonumber(ARGV[4])
local isAlone = given == 1 and struct.unpack('>d', head, 5) == 0
if isAlone and aloneMs == 0 then return redis.call('UNLINK', key) end
if isMine then holder, leaseUntil = 0, 0 end
if aloneMs > 0 then aloneUntil = math.max(aloneUntil, now + aloneMs) end
if isMine or aloneMs > 0 then redis.call('SETRANGE', key, 28, struct.pack('>I4dd', holder, leaseUntil, aloneUntil)) end
if aloneMs > 0 then
  local leftMs = redis.call('PTTL', key)
  if isAlone or (leftMs >= 0 and leftMs < aloneMs) then redis.call('PEXPIRE', key, aloneMs) end
end
return 0`)

/**
 * Returns a version, after making it larger if the argument is '1'. It begins with the server's time in microseconds, and a raise makes it
 * at least that time. So it is larger than before even if the key was lost, or the last raises were lost in a failover. If there is no
 * memory, the key is deleted instead, because the next version will be the time again.
 */
export const VERSION = script(`local key = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local known = tonumber(redis.call('GET', key))
if known and ARGV[1] ~= '1' then return known end
local version = math.max((known or 0) + 1, now)
local done = redis.pcall('SET', key, string.format('%.0f', version))
if not done.err then return version end
if version > now or not string.find(done.err, 'OOM', 1, true) then return done end
redis.call('UNLINK', key)
return version`)
