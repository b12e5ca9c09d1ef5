// node scripts/commonjs.js MODULE...: writes entry points for CommonJS beside those of ESM: `x.cjs` for require() with types, `x.d.cts`.
// Both refer to the ES module, so that there is one instance of everything.
import { writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'

for (const path of process.argv.slice(2)) {
  const name = basename(path)
  const names = await exportsOf(resolve(path))
  writeFileSync(path.replace(/\.js$/, '.cjs'), programOf(name, names))
  writeFileSync(path.replace(/\.js$/, '.d.cts'), declarationsOf(name, names))
}

/** If the module exports a function by default, require() returns that function, with all exports as its properties. */
function programOf (name, { isFunction }) {
  const all = `require('./${name}')`
  return `'use strict'\n${isFunction ? `const all = ${all}\nmodule.exports = Object.assign(all.default, all)` : `module.exports = ${all}`}\n`
}

function declarationsOf (name, { values, types, isFunction }) {
  const from = `from './${name}' with { 'resolution-mode': 'import' }`
  // The same types under the same names, and not types that equal them, so that `declare module` adds to the interface that ESM has.
  const onlyTypes = types.filter((type) => !values.includes(type)).join(', ')
  const lines = [
    `import type * as all ${from}`,
    `import type { ${onlyTypes} } ${from}`,
    ...(isFunction ? ['declare function exported (...args: Parameters<typeof all.default>): ReturnType<typeof all.default>'] : []),
    'declare namespace exported {',
    `  export { ${onlyTypes} }`,
    ...types.filter((type) => values.includes(type)).map((type) => `  export type ${type} = all.${type}`),
    ...values.map((value) => `  export const ${value}: typeof all.${value}`),
    ...(isFunction ? ['  const itself: typeof exported', '  export { itself as default }'] : []),
    '}',
    'export = exported'
  ]
  return lines.join('\n') + '\n'
}

/** The names that a module exports: those of its values, and those of its types. */
async function exportsOf (path) {
  const values = Object.keys(await import(pathToFileURL(path).href))
  const declarations = path.replace(/\.js$/, '.d.ts')
  const program = ts.createProgram([declarations], {
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, noLib: true, types: []
  })
  const checker = program.getTypeChecker()
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(declarations)))
  const meant = (symbol) => symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const isType = (symbol) => (meant(symbol).flags & ts.SymbolFlags.Type) !== 0
  const isNamed = (name) => /^\w+$/.test(name) && name !== 'default'
  return {
    values: values.filter(isNamed),
    types: symbols.filter((symbol) => isType(symbol) && isNamed(symbol.name)).map((symbol) => symbol.name),
    isFunction: values.includes('default')
  }
}
