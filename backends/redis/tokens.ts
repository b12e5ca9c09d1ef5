// Tokens, as the backend hands them out: opaque text, from which a script gets what it must compare.

/** A token: the key's epoch, the token's number within it, and the time by the server's clock until which it may be settled. */
export interface Token {
  /** 8 characters. */
  readonly epoch: string
  readonly number: number
  readonly deadline: number
}

/** Returns the text of a token. The part with a fixed length is last, so that no token is the beginning of another. */
export function tokenText ({ epoch, number, deadline }: Token): string {
  return `${number}.${deadline}.${epoch}`
}

/** Returns the token with this text, or undefined if no server has given it out. */
export function tokenOf (text: string): Token | undefined {
  const [, number, deadline, epoch] = /^([1-9]\d{0,9})\.([1-9]\d{0,15})\.([\w-]{8})$/.exec(text) ?? []
  return epoch === undefined ? undefined : { epoch, number: Number(number), deadline: Number(deadline) }
}
