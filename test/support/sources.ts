// The project's files, by their paths.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json. */
export const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/[\\/]$/, '')

/** A source file and its path from the project's folder, with forward slashes. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** All files in those of `folders` that exist whose names end in one of `endings`. */
export function sourcesIn (folders: readonly string[], endings: readonly string[] = ['.ts']): Source[] {
  return folders.filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1).split('\\').join('/'))
    .sort()
    .map(source)
}

/** One file of the project. */
export function source (path: string): Source {
  return { path, text: readFileSync(join(root, path), 'utf8') }
}
