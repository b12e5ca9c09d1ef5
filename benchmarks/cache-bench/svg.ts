// The few pieces of SVG that charts are made of, as text.

export type Attributes = Readonly<Record<string, string | number>>

export function escaped (text: string): string {
  // Control characters are no XML, not even escaped.
  return text.replace(/[&<>"'\p{Cc}]/gu, (character) => /\p{Cc}/u.test(character) ? ' ' : `&#${character.charCodeAt(0)};`)
}

/** An element; `content` is SVG already. */
export function element (name: string, attributes: Attributes, content = ''): string {
  const given = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? Number(value.toFixed(1)) : escaped(value)}"`).join('')
  return content === '' ? `<${name}${given}/>` : `<${name}${given}>${content}</${name}>`
}

export function text (x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escaped(content))
}

/** A scale on which each step is ten times the one before. */
export class LogScale {
  readonly #low: number
  readonly #high: number
  readonly #from: number
  readonly #to: number

  /** From a power of ten below all values to one above, between two places. */
  constructor (values: readonly number[], from: number, to: number) {
    const positive = values.filter((value) => value > 0 && Number.isFinite(value))
    this.#low = Math.floor(Math.log10(Math.min(...positive, 1e9)))
    this.#high = Math.max(this.#low + 1, Math.ceil(Math.log10(Math.max(...positive, 10 ** this.#low))))
    this.#from = from
    this.#to = to
  }

  /** Where a value stands; what is below the scale, at its beginning. */
  at (value: number): number {
    const share = (Math.log10(Math.max(value, 10 ** this.#low)) - this.#low) / (this.#high - this.#low)
    return this.#from + (this.#to - this.#from) * share
  }

  /** The powers of ten. */
  ticks (): number[] {
    return Array.from({ length: this.#high - this.#low + 1 }, (_, step) => 10 ** (this.#low + step))
  }
}
