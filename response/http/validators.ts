// Validators: the entity tags and dates by which versions of a response are told apart (RFC 9110 section 8.8).
import { hash } from 'node:crypto'
import { joined, type FieldValue } from './field-values.js'
import { parseHttpDate } from './http-date.js'

/** What a response can be told by: its own words, and only those that are well-formed. */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** Epoch milliseconds. */
  readonly lastModifiedAt: number | undefined
}

const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/
const LISTED_TAG = /[ \t]*(?:((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y

/** The first value of a field in pairs of a name and a value. */
export function fieldIn (pairs: readonly string[], name: string): string | undefined {
  for (let at = 0; at < pairs.length; at += 2) if (pairs[at] === name) return pairs[at + 1]
  return undefined
}

/** The entity tag among a response's fields, if it is one. */
export function entityTagIn (pairs: readonly string[]): string | undefined {
  const etag = fieldIn(pairs, 'etag')
  return etag !== undefined && ENTITY_TAG.test(etag) ? etag : undefined
}

/** The validators among a response's fields. `at`: now, in epoch milliseconds. */
export function validatorsOf (pairs: readonly string[], at: number): Validators {
  const lastModified = fieldIn(pairs, 'last-modified')
  const lastModifiedAt = lastModified === undefined ? undefined : parseHttpDate(lastModified, at)
  return {
    etag: entityTagIn(pairs),
    lastModified: lastModifiedAt === undefined ? undefined : lastModified,
    lastModifiedAt
  }
}

/** The same fields, but for an ETag. */
function withoutEtag (pairs: readonly string[]): string[] {
  return pairs.filter((_, index) => pairs[index - index % 2] !== 'etag')
}

/** Those that the handler knows: not an ETag that was made here. */
export function handlersValidators (
  { fields, ownEtag }: { readonly fields: readonly string[], readonly ownEtag?: boolean }, at: number
): Validators {
  return validatorsOf(ownEtag === true ? withoutEtag(fields) : fields, at)
}

/** Whether the handler can be asked whether a response with these validators still holds. */
export function canBeValidated ({ etag, lastModified }: Validators): boolean {
  return etag !== undefined || lastModified !== undefined
}

/** The entity tags of a condition; `*` for any; undefined where the field can't be read. Linear in the length. */
export function entityTags (field: FieldValue): readonly string[] | '*' | undefined {
  const text = joined(field)
  if (text.trim() === '*') return '*'
  const tags: string[] = []
  LISTED_TAG.lastIndex = 0
  for (let at = 0; at < text.length; at = LISTED_TAG.lastIndex) {
    const listed = LISTED_TAG.exec(text)
    if (listed === null) return undefined
    if (listed[1] !== undefined) tags.push(listed[1])
  }
  return tags.length === 0 ? undefined : tags
}

/** RFC 9110 section 8.8.3.2: the same, and neither is weak. */
export function isSameStrongly (one: string, other: string): boolean {
  return one === other && !one.startsWith('W/')
}

/** RFC 9110 section 8.8.3.2: the same but for weakness. */
export function isSameWeakly (one: string, other: string): boolean {
  return opaque(one) === opaque(other)
}

function opaque (tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag
}

const ETAG_CHARACTERS = 27

/** A strong entity tag: the same exactly for the same bytes. */
export function etagOf (body: Buffer | string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, ETAG_CHARACTERS)}"`
}
