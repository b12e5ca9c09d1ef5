// Runs the blocks of a page from top to bottom, as a reader would, in a folder of its own with the packed package installed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blocksOf, isShown, type Block } from './page.js'
import { fateOf, wrongWith, type Known } from './page-rules.js'
import type { Source } from './sources.js'

/** The outcome of a page. Each line begins with `page:line: `. */
export interface PageOutcome {
  readonly problems: readonly string[]
  /** The blocks that were not run, with the reasons. */
  readonly notRun: readonly string[]
}

const DEFAULT_TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    skipLibCheck: true,
    sourceMap: true
  }
}
const TIMEOUT_MS = 100_000
const SHOWN_CHARACTERS = 3_000

class PageRun {
  readonly problems: string[] = []
  readonly notRun: string[] = []
  readonly #page: Source
  readonly #folder: string
  readonly #known: Known
  readonly #files = new Map<string, Block>()
  readonly #servers: ChildProcess[] = []

  constructor (page: Source, folder: string, known: Known) {
    this.#page = page
    this.#folder = folder
    this.#known = known
  }

  async run (): Promise<void> {
    const blocks = blocksOf(this.#page)
    const fates = blocks.map((block, index) => fateOf(block, blocks[index - 1]))
    for (const [index, fate] of fates.entries()) if (typeof fate === 'object') this.#problem(blocks[index]!, fate.problem)
    if (this.problems.length > 0) return
    this.#compile(blocks)
    let printed = ''
    for (const [index, block] of blocks.entries()) {
      // A block after a failed one would fail only because of it.
      if (this.problems.length > 0) return
      const fate = fates[index]
      if (fate === 'not run') this.#look(block)
      else if (fate === 'data') this.#parse(block)
      else if (fate === 'output') this.#compare(block, printed)
      else if (fate === 'file') this.#write(block)
      else printed = await this.#execute(block)
    }
    this.#checkUse(blocks)
  }

  /** Ends the servers that are still running. */
  close (): void {
    for (const { pid } of this.#servers) {
      try { process.kill(-pid!, 'SIGKILL') } catch { /* it ended by itself */ }
    }
  }

  #problem (block: Block, message: string): void {
    // Lines of a file of the page are converted to lines of the page.
    const text = message.replace(/([\w.-]+\.(?:ts|mjs|js|json))([(:])(\d+)/g, (all, name: string, mark: string, line: string) => {
      const there = this.#files.get(name)
      return there === undefined ? all : `${this.#page.path}${mark}${there.line + Number(line)}`
    })
    const at = new RegExp(`${this.#page.path.replaceAll('.', '\\.')}[(:](\\d+)`).exec(text)?.[1] ?? block.line
    this.problems.push(`${this.#page.path}:${at}: ${text}`)
  }

  #write (block: Block): string {
    const name = block.notes.get('file') ?? block.notes.get('run')!
    this.#files.set(name, block)
    if (name.endsWith('.json')) this.#parse(block)
    writeFileSync(join(this.#folder, name), block.code)
    return name
  }

  #parse (block: Block): void {
    try {
      JSON.parse(block.code)
    } catch (err) {
      this.#problem(block, (err as Error).message)
    }
  }

  /** Compiles the TypeScript of the whole page, so that files may import each other in any order. */
  #compile (blocks: readonly Block[]): void {
    const sources = blocks.filter(({ language, notes }) =>
      (language === 'ts' || notes.get('file') === 'tsconfig.json') && !notes.has('not run'))
    if (!sources.some(({ language }) => language === 'ts')) return
    for (const block of sources) this.#write(block)
    if (!existsSync(join(this.#folder, 'tsconfig.json'))) {
      writeFileSync(join(this.#folder, 'tsconfig.json'), JSON.stringify(DEFAULT_TSCONFIG))
    }
    if (!existsSync(join(this.#folder, 'package.json'))) writeFileSync(join(this.#folder, 'package.json'), '{ "type": "module" }')
    const { output } = this.#shell('npx tsc || true')
    for (const line of output.split('\n').filter((line) => line.includes('error TS'))) this.#problem(sources[0]!, line)
  }

  #look (block: Block): void {
    this.notRun.push(`${this.#page.path}:${block.line}: ${block.notes.get('not run')}`)
    if (block.language === 'sh') for (const problem of wrongWith(block.code, this.#known)) this.#problem(block, problem)
  }

  #compare (block: Block, printed: string): void {
    if (isShown(block.code, printed, block.notes.get('figures vary'))) return
    this.#problem(block, `the output differs:\n${printed.slice(0, SHOWN_CHARACTERS)}`)
  }

  async #execute (block: Block): Promise<string> {
    const { notes } = block
    const program = (name: string) =>
      `node --enable-source-maps ${name.includes('.test.') ? '--test --test-reporter=spec ' : ''}${name.replace(/\.ts$/, '.js')}`
    const script = notes.has('run') ? program(this.#write(block)) : block.code
    if (notes.has('until')) return await this.#serve(block, script, new RegExp(notes.get('until')!))
    const { exitCode, output } = this.#shell(script)
    const expected = Number(notes.get('exit') ?? 0)
    if (exitCode !== expected) this.#problem(block, `exit code ${exitCode}, not ${expected}:\n${output.slice(-SHOWN_CHARACTERS)}`)
    return output
  }

  #shell (script: string): { exitCode: number | null, output: string } {
    const { status, stdout, stderr } = spawnSync('sh', ['-ec', withoutLoaders(script)], {
      cwd: this.#folder, encoding: 'utf8', env: environment(), timeout: TIMEOUT_MS
    })
    return { exitCode: status, output: stdout + stderr }
  }

  async #serve (block: Block, script: string, until: RegExp): Promise<string> {
    const child = spawn('sh', ['-ec', withoutLoaders(script)], {
      cwd: this.#folder, env: environment(), detached: true, stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#servers.push(child)
    let output = ''
    const isReady = await new Promise<boolean>((resolve) => {
      const see = (text: string) => {
        output += text
        if (until.test(output)) resolve(true)
      }
      child.stdout.setEncoding('utf8').on('data', see)
      child.stderr.setEncoding('utf8').on('data', see)
      child.once('close', () => resolve(false))
    })
    if (!isReady) this.#problem(block, `it ended before it printed ${until.source}:\n${output}`)
    return output
  }

  /** A file that nothing runs, imports or names is an untested example. */
  #checkUse (blocks: readonly Block[]): void {
    for (const [name, block] of this.#files) {
      const stem = name.replace(/\.(ts|mjs|js)$/, '')
      const isUsed = block.notes.has('run') || name.endsWith('.json') ||
        blocks.some((other) => other !== block && !other.notes.has('not run') && other.code.includes(stem))
      if (!isUsed) this.#problem(block, `nothing on the page runs ${name}`)
    }
  }
}

// tap adds its loaders to the environment of spawned processes. Readers have no loaders.
const withoutLoaders = (script: string): string => `unset NODE_OPTIONS NODE_TEST_CONTEXT\n${script}`
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1' })

/** Runs a page in a fresh folder in `home`, in which `node_modules` is what its reader has installed. */
export async function runPage (page: Source, home: string, known: Known): Promise<PageOutcome> {
  const folder = join(home, page.path.replaceAll('/', '-').replace(/\.md$/, ''))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  symlinkSync(join(home, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const run = new PageRun(page, folder, known)
  try {
    await run.run()
  } finally {
    run.close()
  }
  return run
}
