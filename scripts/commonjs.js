// node scripts/commonjs.js MODULE...: writes the entry points of CommonJS beside those of ESM: `x.cjs`, which require() loads, and `x.d.cts`, which a TypeScript file that is
// CommonJS is checked against. Both refer to the ES module, so that there is one instance of everything.
import { writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'

for (const path of process.argv.slice(2)) {
  const name = basename(path)
  writeFileSync(path.replace(/\.js$/, '.cjs'), `'use strict'\nmodule.exports = require('./${name}')\n`)
  writeFileSync(path.replace(/\.js$/, '.d.cts'), await declarationsOf(resolve(path.replace(/\.js$/, '.d.ts')), name))
}

async function declarationsOf (path, name) {
  const { values, types, isFunction } = await exportsOf(path)
  const lines = [
    `import type * as all from './${name}' with { 'resolution-mode': 'import' }`,
    ...(isFunction ? ['declare function exported (...args: Parameters<typeof all.default>): ReturnType<typeof all.default>'] : []),
    'declare namespace exported {',
    ...types.map((type) => values.includes(type) ? `  export type ${type} = all.${type}` : `  export import ${type} = all.${type}`),
    ...values.map((value) => `  export const ${value}: typeof all.${value}`),
    // The exports of a module that exports a function by default are properties of that function; see its `module.exports`.
    ...(isFunction ? ['  const itself: typeof exported', '  export { itself as default }'] : []),
    '}',
    'export = exported'
  ]
  return lines.join('\n') + '\n'
}

/** The names that a module exports: those of its values, and those of its types. */
async function exportsOf (path) {
  const values = Object.keys(await import(pathToFileURL(path.replace(/\.d\.ts$/, '.js')).href))
  const program = ts.createProgram([path], { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, noLib: true, types: [] })
  const checker = program.getTypeChecker()
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path)))
  const isType = (symbol) => ((symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol).flags & ts.SymbolFlags.Type) !== 0
  const isNamed = (name) => /^\w+$/.test(name) && name !== 'default'
  return {
    values: values.filter(isNamed),
    types: symbols.filter(isType).map(({ name }) => name).filter(isNamed),
    isFunction: values.includes('default')
  }
}
