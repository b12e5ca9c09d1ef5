// Reads the project's TypeScript: the imports of each file, and the length of its functions.
import { posix } from 'node:path'
import ts from 'typescript'
import type { Source } from './sources.js'

export interface Import {
  /** The file's path if it is one of the project's, otherwise the specifier. */
  readonly target: string
  /** 'types' are removed when compiled; 'lazy' imports are made when they are needed. */
  readonly how: 'static' | 'types' | 'lazy'
}

export interface NamedSpan {
  readonly name: string
  readonly lines: number
}

function walk ({ path, text }: Source, visit: (node: ts.Node, tree: ts.SourceFile) => void): void {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const step = (node: ts.Node) => {
    visit(node, tree)
    ts.forEachChild(node, step)
  }
  step(tree)
}

/** Everything that a file imports or re-exports. */
export function importsOf (file: Source): Import[] {
  const found: Import[] = []
  const add = (specifier: ts.Node | undefined, how: Import['how']) => {
    if (specifier === undefined) return
    const text = ts.isStringLiteralLike(specifier) ? specifier.text : specifier.getText()
    found.push({ target: text.startsWith('.') ? posix.join(posix.dirname(file.path), text).replace(/\.js$/, '.ts') : text, how })
  }
  walk(file, (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isOnlyTypes(node.importClause) ? 'types' : 'static')
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, isOnlyTypes(node) ? 'types' : 'static')
    else if (ts.isImportTypeNode(node)) add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument, 'types')
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], 'lazy')
    else if (ts.isCallExpression(node) && node.expression.getText() === 'require') add(node.arguments[0], 'static')
  })
  return found
}

function isOnlyTypes (clause: ts.ImportClause | ts.ExportDeclaration | undefined): boolean {
  if (clause === undefined) return false
  if (clause.isTypeOnly) return true
  const named = ts.isExportDeclaration(clause) ? clause.exportClause : clause.name === undefined ? clause.namedBindings : undefined
  if (named === undefined || !(ts.isNamedImports(named) || ts.isNamedExports(named))) return false
  return named.elements.length > 0 && named.elements.every((element) => element.isTypeOnly)
}

/** The functions of a file that have a body, with their length in lines. */
export function functionsOf (file: Source): NamedSpan[] {
  const found: NamedSpan[] = []
  walk(file, (node, tree) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return
    const line = (position: number) => tree.getLineAndCharacterOfPosition(position).line
    const firstLine = line(node.getStart())
    found.push({ name: node.name?.getText() ?? `the function in line ${firstLine + 1}`, lines: line(node.getEnd()) - firstLine + 1 })
  })
  return found
}

/** Whether the file mentions this name in code, and not in a text or a comment. */
export function mentions (file: Source, name: string): boolean {
  let found = false
  walk(file, (node) => { found ||= ts.isIdentifier(node) && node.text === name })
  return found
}
