// node scripts/lean.js DIST: makes a build smaller for the package, without comments in programs and declarations that no entry refers to.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'

const ENTRIES = ['plugin.d.ts', 'plugin.d.cts', 'test/kit/index.d.ts', 'test/kit/index.d.cts']

const dist = resolve(process.argv[2])
const files = readdirSync(dist, { recursive: true }).map((path) => join(dist, path))

for (const path of files.filter((path) => path.endsWith('.js'))) {
  const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, removeComments: true }
  })
  writeFileSync(path, outputText)
}

const program = ts.createProgram(ENTRIES.map((entry) => join(dist, entry)), {
  module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, noLib: true, types: []
})
const needed = new Set(program.getSourceFiles().map(({ fileName }) => resolve(fileName)))
for (const path of files.filter((path) => path.endsWith('.d.ts') && !needed.has(path))) rmSync(path)
