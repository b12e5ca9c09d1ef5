// What was asked for can't be done: one line for the user, exit code 2.

export class Refusal extends Error {}

/** One line of an error, whoever made it. */
export function lineOf (error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
