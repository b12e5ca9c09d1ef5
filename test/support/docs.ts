// Reads tables of the docs, and interfaces of the sources with their doc comments.
import ts from 'typescript'
import { source } from './sources.js'

/** A row of a table: its cells by the name of the column. */
export type Row = Readonly<Record<string, string>>

/**
 * The first table below `heading`, a whole line of the file. Throws if there is no table before the next heading, or if the heading
 * occurs twice.
 */
export function tableBelow (markdown: string, heading: string): Row[] {
  const lines = markdown.split('\n')
  const at = lines.indexOf(heading)
  if (lines.includes(heading, at + 1)) throw new Error(`'${heading}' occurs twice`)
  const begin = lines.findIndex((line, index) => index > at && line.startsWith('|'))
  const next = lines.findIndex((line, index) => index > at && /^#+ /.test(line))
  if (at === -1 || begin === -1 || (next !== -1 && next < begin)) throw new Error(`no table below '${heading}'`)
  const end = lines.findIndex((line, index) => index > begin && !line.startsWith('|'))
  const [names, , ...rows] = lines.slice(begin, end).map(cellsOf)
  return rows.map((cells) => Object.fromEntries(names!.map((name, index) => [name, cells[index] ?? ''])))
}

function cellsOf (line: string): string[] {
  return line.slice(1, line.lastIndexOf('|')).split('|').map((cell) => cell.trim())
}

/** The text between backticks in a cell, or the cell if there is none. */
export function codeIn (cell: string): string {
  return /`([^`]+)`/.exec(cell)?.[1] ?? cell
}

/** A property of an interface, as its doc comment describes it. */
export interface Property {
  readonly isOptional: boolean
  /** The text after `@default`; undefined if there is none. */
  readonly default: string | undefined
}

/** The properties of an interface of a source file. Throws if there is no such interface. */
export function interfaceIn (path: string, name: string): Map<string, Property> {
  const tree = ts.createSourceFile(path, source(path).text, ts.ScriptTarget.Latest, true)
  const found = tree.statements.find((one) => ts.isInterfaceDeclaration(one) && one.name.text === name)
  if (found === undefined) throw new Error(`no interface ${name} in ${path}`)
  return new Map((found as ts.InterfaceDeclaration).members.filter(ts.isPropertySignature).map((member) => {
    const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'default')
    return [
      member.name.getText(tree), { isOptional: member.questionToken !== undefined, default: ts.getTextOfJSDocComment(tag?.comment)?.trim() }
    ]
  }))
}
