// The rules for every block of a page, so that no block is silently left unrun.
import type { Block } from './page.js'

/** What is done with a block. */
export type Fate = 'file' | 'program' | 'commands' | 'output' | 'data' | 'not run'

const PROGRAMS = ['ts', 'js', 'mjs']
/** The comments with a meaning; CONTRIBUTING.md explains them. */
const KNOWN_NOTES = new Set(['file', 'run', 'not run', 'until', 'exit', 'figures vary'])

/** What is done with a block, or why that is unclear. `before` is the block before it on the page. */
export function fateOf ({ language, notes }: Block, before: Block | undefined): Fate | { problem: string } {
  const unknown = [...notes.keys()].find((name) => !KNOWN_NOTES.has(name))
  if (unknown !== undefined) return { problem: `'${unknown}' is not a known comment; known are ${[...KNOWN_NOTES].join(', ')}` }
  if (notes.has('not run')) return notes.get('not run') === '' ? { problem: 'it is not run, and no reason is given' } : 'not run'
  if (language === 'sh') return 'commands'
  if (language === 'json' && !notes.has('file')) return 'data'
  if (language === 'text' && before !== undefined && prints(before)) return 'output'
  if (PROGRAMS.includes(language) && notes.has('run')) return 'program'
  if (notes.has('file')) return 'file'
  return {
    problem: `a block of '${language}' must be run (<!-- run: name -->, <!-- file: name -->) or say why not (<!-- not run: reason -->)`
  }
}

function prints ({ language, notes }: Block): boolean {
  return !notes.has('not run') && !notes.has('until') && (language === 'sh' || notes.has('run'))
}

/** What exists: scripts of package.json, programs in node_modules/.bin, packages. */
export interface Known {
  readonly scripts: readonly string[]
  readonly programs: readonly string[]
  readonly packages: readonly string[]
}

/** What is wrong with commands that are not run: a script, a program or a package that does not exist. */
export function wrongWith (commands: string, known: Known): string[] {
  return [...commands.matchAll(/\b(npm run|npm(?= start| test)|npm install|npx) ([^\n;&|`#]*)/g)].flatMap(([, verb, rest]) => {
    const words = rest!.trim().split(/\s+/).filter((word) => !word.startsWith('-'))
    if (verb === 'npm run' || verb === 'npm') return known.scripts.includes(words[0]!) ? [] : [`package.json has no script '${words[0]}'`]
    if (verb === 'npx') return known.programs.includes(words[0]!) ? [] : [`no program '${words[0]}' is installed`]
    return words.filter((word) => !word.startsWith('.') && !known.packages.includes(word))
      .map((word) => `the package '${word}' is not one that the docs are run with`)
  })
}
