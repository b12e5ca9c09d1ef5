// An error for a command line that asks for something impossible. The user sees one line, and the exit code is 2.

export class Refusal extends Error {}

/** Returns the message of any error, on one line. */
export function lineOf (error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
