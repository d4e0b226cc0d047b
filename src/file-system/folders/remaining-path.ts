import { isAbsolute } from 'node:path'

const MAX_SYMBOLIC_LINKS = 40

/**
 * The rest of a path that is walked down name by name. `..` stays a name: after a link, it is that of the folder the link
 * leads to, as for the system.
 */
export class RemainingPath {
  #names: readonly string[]
  #links = 0

  /** @param path walked from the topmost folder */
  constructor(path: string) {
    this.#names = namesOf(path)
  }

  /** The next name, in the folder that was reached. */
  get name(): string {
    return this.#names[0] ?? '.'
  }

  /** Whether nothing comes after the name. */
  get isLast(): boolean {
    return this.#names.length <= 1
  }

  /** Goes on in the folder of the name. */
  enter(): void {
    this.#names = this.#names.slice(1)
  }

  /**
   * Goes on where the name leads, which is a symbolic link.
   * @returns whether from the topmost folder; else from the one of the link
   * @throws {Error} ELOOP, as a system call would
   */
  follow(target: string): boolean {
    this.#links += 1
    if (this.#links > MAX_SYMBOLIC_LINKS)
      throw Object.assign(new Error('too many levels of symbolic links'), { code: 'ELOOP' })
    this.#names = [...namesOf(target), ...this.#names.slice(1)]
    return isAbsolute(target)
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}
