// Tokens, as the script CLAIM gives them out: number, deadline and epoch as one text. The part with a fixed length is last, so that no
// token is the beginning of another.

/** A token: the key's epoch, the token's number within it, and the time by the server's clock until which it may be settled. */
export interface Token {
  /** 8 characters. */
  readonly epoch: string
  readonly number: number
  readonly deadline: number
}

/** Returns the token with this text, or undefined if no server has given it out. */
export function tokenOf (text: string): Token | undefined {
  const [, number, deadline, epoch] = /^([1-9]\d{0,9})\.([1-9]\d{0,15})\.([\w-]{8})$/.exec(text) ?? []
  return epoch === undefined ? undefined : { epoch, number: Number(number), deadline: Number(deadline) }
}
