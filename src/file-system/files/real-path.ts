import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** The real path of what exists, and the rest of it as it will be made. @param path absolute */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPath(above), basename(path))
  }
}

/** Whether a path is a folder, or lies in it. Both without symbolic links. */
export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

/** The folders on the way to a path by its text, the nearest first. @param path absolute */
export function foldersAbove(path: string): string[] {
  const above = dirname(path)
  return above === path ? [] : [above, ...foldersAbove(above)]
}
