// An error for a command line that asks for something impossible: one line for the user, exit code 2.

export class Refusal extends Error {}

/** The message of any error, on one line. */
export function lineOf (error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
