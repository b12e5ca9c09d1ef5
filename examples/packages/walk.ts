// Walks the installed npm packages: where they are, what their package.json says, and how large they are on disk.
import { lstat, readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** An installed package. */
export interface Installed {
  readonly name: string
  readonly version: string
  readonly license: string
  /** Relative to the project. */
  readonly path: string
}

/** The files of a package, without those of packages nested in it. */
export interface Size {
  readonly files: number
  readonly bytes: number
}

/** Every package below `project`, nested ones included, sorted by name and then by path. */
export async function installedIn (project: string): Promise<Installed[]> {
  const folders = await packageFolders(join(project, 'node_modules'))
  const found = await Promise.all(folders.map(async (folder) => await describe(project, folder)))
  return found.filter((one) => one !== undefined).sort((a, b) => compare(a.name, b.name) || compare(a.path, b.path))
}

/** The size of the package at `path`: the sum of its files. */
export async function sizeOf (project: string, { path }: Installed): Promise<Size> {
  return await sizeOfFolder(join(project, path), 'node_modules')
}

/** The folders of packages in `modules`. Those of a scope are one level deeper; nested ones follow. */
async function packageFolders (modules: string): Promise<string[]> {
  const below = await Promise.all((await subfolders(modules)).map(async (name) => {
    const folder = join(modules, name)
    return name.startsWith('@') ? (await subfolders(folder)).map((inner) => join(folder, inner)) : [folder]
  }))
  const folders = below.flat()
  const nested = await Promise.all(folders.map(async (folder) => await packageFolders(join(folder, 'node_modules'))))
  return [...folders, ...nested.flat()]
}

async function subfolders (folder: string): Promise<string[]> {
  try {
    const items = await readdir(folder, { withFileTypes: true })
    return items.filter((item) => item.isDirectory() && !item.name.startsWith('.')).map((item) => item.name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** What the package.json in `folder` says; undefined if it is missing or doesn't name a package. */
async function describe (project: string, folder: string): Promise<Installed | undefined> {
  let manifest: { name?: unknown, version?: unknown, license?: unknown, licenses?: unknown }
  try {
    manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  } catch {
    return undefined
  }
  const { name, version } = manifest
  if (typeof name !== 'string' || typeof version !== 'string') return undefined
  return { name, version, license: licenseOf(manifest.license ?? manifest.licenses), path: relative(project, folder) }
}

/** Old packages have `{ type }`, or a list of those. */
function licenseOf (given: unknown): string {
  if (typeof given === 'string') return given
  if (Array.isArray(given)) return given.map(licenseOf).join(' OR ')
  const { type } = (given ?? {}) as { type?: unknown }
  return typeof type === 'string' ? type : 'unknown'
}

async function sizeOfFolder (folder: string, leftOut?: string): Promise<Size> {
  const items = await readdir(folder, { withFileTypes: true })
  const sizes = await Promise.all(items.filter((item) => item.name !== leftOut).map(async (item) => {
    const path = join(folder, item.name)
    // Only the link itself counts, not its target.
    return item.isDirectory() ? await sizeOfFolder(path) : { files: 1, bytes: (await lstat(path)).size }
  }))
  return total(sizes)
}

/** The sum of several sizes. */
export function total (sizes: readonly Size[]): Size {
  return {
    files: sizes.reduce((sum, { files }) => sum + files, 0),
    bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}

function compare (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
