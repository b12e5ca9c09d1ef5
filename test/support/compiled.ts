// A file of the tests and all that it imports as plain JavaScript, for processes that have to start fast because there are many.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Test } from 'tap'
import ts from 'typescript'
import { root } from './sources.js'

const COMPILER_OPTIONS: ts.CompilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }

/** Compiles `file`, relative to test/, into a folder below the project, where packages are found. Answers how to start it. */
export function compiled (t: Test, file: string): (...args: string[]) => ChildProcess {
  const folder = t.testdir()
  const seen = new Set<string>()
  const compile = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    const text = readFileSync(path, 'utf8')
    const to = join(folder, relative(root, path)).replace(/\.ts$/, '.js')
    mkdirSync(dirname(to), { recursive: true })
    writeFileSync(to, ts.transpileModule(text, { fileName: path, compilerOptions: COMPILER_OPTIONS }).outputText)
    for (const { fileName } of ts.preProcessFile(text).importedFiles) if (fileName.startsWith('.')) compile(resolve(dirname(path), fileName.replace(/\.js$/, '.ts')))
  }
  const path = join(root, 'test', file)
  compile(path)
  const script = join(folder, relative(root, path)).replace(/\.ts$/, '.js')
  // By way of a shell, since tap puts its loaders into the environment of whatever is spawned.
  return (...args) => spawn('sh', ['-c', 'unset NODE_OPTIONS; exec "$0" "$@"', process.execPath, script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}
