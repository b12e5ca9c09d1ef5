// node scripts/mutants.js [NAME...]: applies each mutant of mutants.json to a copy of the code, and runs the tests that must fail then.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { build, root } from './prepare.js'

const LONGEST_TEST_SECONDS = 90

const read = (file) => readFileSync(join(root, file), 'utf8')
const compiled = (file) => file.replace(/\.ts$/, '.js')

/** The mutants with these names; all mutants if there are no names. */
function chosen (names) {
  const all = JSON.parse(read('scripts/mutants.json'))
  const wrong = names.filter((name) => !all.some((mutant) => mutant.name === name))
  if (wrong.length > 0) throw new Error(`no mutant is called ${wrong.join(', ')}; the names are in scripts/mutants.json`)
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name))
}

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
const ALONE = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, outDir: undefined, rootDir: undefined }

/** Compiles one file, as the build does. */
function transpiled (file, source) {
  const { outputText, diagnostics } = ts.transpileModule(source, {
    compilerOptions: { ...options, ...ALONE }, fileName: file, reportDiagnostics: true
  })
  if (diagnostics.length > 0) {
    throw new Error(`${file} can not be compiled: ${ts.flattenDiagnosticMessageText(diagnostics[0].messageText, ' ')}`)
  }
  return outputText
}

/** Compiles the file of a mutant. Throws unless the file contains the text to replace exactly once. */
function mutated ({ file, find, put }) {
  const source = read(file)
  const times = source.split(find).length - 1
  if (times !== 1) throw new Error(`${file} contains the text to replace ${times} times`)
  const original = transpiled(file, source)
  return { original, code: transpiled(file, source.replace(find, () => put)) }
}

/** Copies the build and everything else that the tests need. */
function copyTo (folder) {
  mkdirSync(folder)
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  for (const name of ['node_modules', 'scripts']) symlinkSync(join(root, name), join(folder, name))
}

/** Runs one test file in a copy, and returns whether it passes. */
function passes (test, folder) {
  return new Promise((resolve) => {
    const env = { ...process.env, BACKENDS: 'memory', TAP_BAIL: '1', TAP_TIMEOUT: String(LONGEST_TEST_SECONDS) }
    // A pipe, because the tests count open files, and Node opens one more if the output goes to a file.
    const child = spawn(process.execPath, [join('dist', compiled(test))], { cwd: folder, env, stdio: ['ignore', 'pipe', 'ignore'] })
    child.stdout.resume()
    const limit = setTimeout(() => child.kill('SIGKILL'), (LONGEST_TEST_SECONDS + 10) * 1_000)
    child.on('close', (code) => {
      clearTimeout(limit)
      resolve(code === 0)
    })
  })
}

/** The first of its test files that fails for a mutant; undefined if all pass. */
async function killerOf ({ file, tests }, { original, code }, folder) {
  const place = join(folder, 'dist', compiled(file))
  if (readFileSync(place, 'utf8') !== original) throw new Error(`${file} differs from the build`)
  if (code === original) throw new Error('the mutant changes nothing')
  writeFileSync(place, code)
  try {
    for (const test of tests) if (!await passes(test, folder)) return test
  } finally {
    writeFileSync(place, original)
  }
}

/** Tries all mutants, and passes the result of each to `say` at once. */
async function judge (mutants, copies, say) {
  const clean = new Set()
  const left = [...mutants]
  await Promise.all(copies.map(async (folder) => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      try {
        const killer = await killerOf(mutant, mutated(mutant), folder)
        if (killer === undefined) throw new Error(`survived: ${mutant.says}`)
        // A test that also fails without the mutant doesn't count.
        if (!clean.has(killer) && !await passes(killer, folder)) throw new Error(`${killer} fails without the mutant too`)
        clean.add(killer)
        say(mutant, `killed by ${killer}`)
      } catch (error) {
        say(mutant, undefined, error.message)
      }
    }
  }))
}

async function main (names) {
  const mutants = chosen(names)
  const temporary = mkdtempSync(join(tmpdir(), 'mutants-'))
  process.once('exit', () => rmSync(temporary, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  const copies = Array.from({ length: availableParallelism() * 2 }, (_, at) => join(temporary, String(at)))
  build()
  copies.forEach(copyTo)
  const wrong = []
  await judge(mutants, copies, ({ name }, good, bad) => {
    if (bad !== undefined) wrong.push(name)
    console.log(bad === undefined ? `ok      ${name}: ${good}` : `NOT OK  ${name}: ${bad}`)
  })
  console.log(
    `${mutants.length - wrong.length} of ${mutants.length} mutants were killed${wrong.length > 0 ? `; not: ${wrong.join(', ')}` : ''}`)
  return wrong.length > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(await main(process.argv.slice(2)))
