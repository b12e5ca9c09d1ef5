// Parses, compares and generates entity tags (RFC 9110 section 8.8.3).
import { hash } from 'node:crypto'
import { joined, type FieldValue } from './field-values.js'

export const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/
const LISTED_TAG = /[ \t]*(?:((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y

/** Returns the entity tags in a condition, `*` if it matches any tag, or undefined if the field is malformed. Takes linear time. */
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

/** Returns whether the tags are identical and neither is weak (RFC 9110 section 8.8.3.2). */
export function isSameStrongly (one: string, other: string): boolean {
  return one === other && !one.startsWith('W/')
}

/** Returns whether the tags are identical, apart from weakness (RFC 9110 section 8.8.3.2). */
export function isSameWeakly (one: string, other: string): boolean {
  return opaque(one) === opaque(other)
}

function opaque (tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag
}

const ETAG_CHARACTERS = 27

/** Returns a strong entity tag for a body, made from its hash: equal bodies have equal tags, and different bodies have different tags. */
export function etagOf (body: Buffer | string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, ETAG_CHARACTERS)}"`
}
