// The targets of an invalidation: tags, a URL, a route or a key. Each target is checked as soon as it is given.
import { intention } from '../../registry/intention.js'
import { TARGET_ADVICE } from './advice.js'
import { isRecord, isTextList, show } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

/** The target of an invalidation: a tag, or one of these objects. */
export type InvalidationTarget =
  | string
  | {
    /** Invalidates all responses and values that have at least one of these tags. */
    readonly tags: readonly string[]
    /**
     * Whether the responses and values become stale instead of unusable. Stale ones may be validated, or served while one refresh runs.
     * @default false
     */
    readonly soft?: boolean
  }
  | {
    /** A path with its query, or an absolute URL. A path is invalidated on every host, and an absolute URL only on its own host. */
    readonly url: string
    /** The method of the requests whose responses are invalidated. @default 'GET' */
    readonly method?: string
  }
  | {
    /** A route's pattern with its prefix: `/products/:id`. A method in front of it limits it to that method: `GET /products/:id`. */
    readonly route: string
  }
  | {
    /** A value that a route's key function returned. The data cache's value under the same key is invalidated too. */
    readonly key: string
  }

/** A target in the form of an object. A single tag that was given as a string has become `{ tags: [tag] }`. */
export type ParsedTarget = Exclude<InvalidationTarget, string>

/** The maximum number of tags that a response may have. */
export const MAX_TAGS = 64
/** The maximum number of characters in a tag. */
export const MAX_TAG_CHARACTERS = 1024

const EXPECTED = 'a tag, { tags: [...], soft? }, { url, method? }, { route } or { key }'
const OTHERS: Readonly<Record<string, string>> = { tags: 'soft', url: 'method' }

export function areTags (value: unknown): value is string[] {
  return isTextList(value) && (value as string[]).length <= MAX_TAGS && (value as string[]).every(isTag)
}

const isTag = (tag: string): boolean => tag.length <= MAX_TAG_CHARACTERS

/** Checks a target, and returns it as an object. If the target is invalid, throws CACHE_ERR_OPTION, which names `who`. */
export function parseTarget (target: unknown, who: string): ParsedTarget {
  const aim = typeof target === 'string' ? { tags: [target] } : target
  const names = isRecord(aim) ? Object.keys(aim) : []
  const kind = ['tags', 'url', 'route', 'key'].find((name) => names.includes(name))
  if (!isRecord(aim) || kind === undefined || names.some((name) => name !== kind && name !== OTHERS[kind])) {
    throw new CACHE_ERR_OPTION(who, EXPECTED, show(target) + meant(target, names))
  }
  if (kind === 'tags') checkTags(aim, who)
  else if (typeof aim[kind] !== 'string' || aim[kind] === '') throw new CACHE_ERR_OPTION(who, EXPECTED, show(target))
  if (kind === 'url') checkUrl(aim, who)
  return aim as unknown as ParsedTarget
}

/** Returns what a wrong target was probably meant to be. */
function meant (target: unknown, names: readonly string[]): string {
  if (Array.isArray(target)) return '; did you mean { tags: [...] }?'
  const known = [...Object.keys(OTHERS), ...Object.values(OTHERS), 'route', 'key']
  return names.filter((name) => !known.includes(name)).map((name) => intention(name, known, TARGET_ADVICE)).join('')
}

/** Checks a list of targets. If one is invalid, throws CACHE_ERR_OPTION, which names `who`. */
export function parseTargets (targets: unknown, who: string): readonly ParsedTarget[] {
  if (!Array.isArray(targets)) throw new CACHE_ERR_OPTION(who, `an array of ${EXPECTED}`, show(targets))
  return targets.map((target) => parseTarget(target, who))
}

function checkTags ({ tags, soft }: Record<string, unknown>, who: string): void {
  const wrong = isTextList(tags) ? (tags as string[]).find((tag) => !isTag(tag)) : tags
  if (wrong !== undefined || !isTextList(tags)) {
    throw new CACHE_ERR_OPTION(
      who,
      `a tag, a string of 1 to ${MAX_TAG_CHARACTERS} characters (a response has at most ${MAX_TAGS} of them), or a list of them`,
      show(wrong))
  }
  if (soft !== undefined && typeof soft !== 'boolean') throw new CACHE_ERR_OPTION(`${who}.soft`, 'true or false', show(soft))
}

function checkUrl ({ url, method }: Record<string, unknown>, who: string): void {
  const { target } = partsOf(url as string)
  if (!target.startsWith('/') || target.includes('#')) {
    throw new CACHE_ERR_OPTION(
      `${who}.url`, 'a path that begins with / and may have a query, or an absolute http URL, without a fragment', show(url))
  }
  if (target.endsWith('/*')) {
    throw new CACHE_ERR_OPTION(`${who}.url`, 'the URL of one request; * is no wildcard: use a tag, or { route }', show(url))
  }
  if (method !== undefined && typeof method !== 'string') throw new CACHE_ERR_OPTION(`${who}.method`, 'a method', show(method))
}

/** Splits a URL into its origin, if it has one, and its request target. */
export function partsOf (url: string): { readonly origin: string | undefined, readonly target: string } {
  const [, origin, rest] = /^(https?:\/\/[^/?#]+)([/?].*)?$/is.exec(url) ?? []
  return origin === undefined
    ? { origin, target: url }
    : { origin, target: rest === undefined ? '/' : rest.startsWith('/') ? rest : `/${rest}` }
}
