// Header fields and their values, as Fastify and Node represent them.

/** A header field's value. */
export type FieldValue = string | number | readonly string[] | undefined

/** Header fields by lower-case name. */
export type Fields = Readonly<Record<string, FieldValue>>

/** Joins all lines of a field into one value (RFC 9110 section 5.3). */
export function joined (value: FieldValue): string {
  return Array.isArray(value) ? value.join(', ') : value === undefined ? '' : String(value)
}

/** Returns the first value of a field in a list of name, value, name, value ..., or undefined if the field is absent. */
export function fieldIn (pairs: readonly string[], name: string): string | undefined {
  for (let at = 0; at < pairs.length; at += 2) if (pairs[at] === name) return pairs[at + 1]
  return undefined
}
