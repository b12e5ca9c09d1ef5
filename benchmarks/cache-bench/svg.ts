// Creates the pieces of SVG of which charts consist, as text.

export type Attributes = Readonly<Record<string, string | number>>

export function escaped (text: string): string {
  // XML allows no control characters, not even escaped ones.
  return text.replace(/[&<>"'\p{Cc}]/gu, (character) => /\p{Cc}/u.test(character) ? ' ' : `&#${character.charCodeAt(0)};`)
}

/** Returns an element. `content` must be SVG. */
export function element (name: string, attributes: Attributes, content = ''): string {
  const given = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? Number(value.toFixed(1)) : escaped(value)}"`).join('')
  return content === '' ? `<${name}${given}/>` : `<${name}${given}>${content}</${name}>`
}

export function text (x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escaped(content))
}

/** A logarithmic scale: each step is ten times the previous one. */
export class LogScale {
  readonly #low: number
  readonly #high: number
  readonly #from: number
  readonly #to: number

  /** Creates a scale from a power of ten below all values, at the place `from`, to a power of ten above them, at the place `to`. */
  constructor (values: readonly number[], from: number, to: number) {
    const positive = values.filter((value) => value > 0 && Number.isFinite(value))
    this.#low = Math.floor(Math.log10(Math.min(...positive, 1e9)))
    this.#high = Math.max(this.#low + 1, Math.ceil(Math.log10(Math.max(...positive, 10 ** this.#low))))
    this.#from = from
    this.#to = to
  }

  /** Returns the place of a value. A value below the scale is placed at the scale's start. */
  at (value: number): number {
    const share = (Math.log10(Math.max(value, 10 ** this.#low)) - this.#low) / (this.#high - this.#low)
    return this.#from + (this.#to - this.#from) * share
  }

  /** Returns the powers of ten on the scale. */
  ticks (): number[] {
    return Array.from({ length: this.#high - this.#low + 1 }, (_, step) => 10 ** (this.#low + step))
  }
}
