import { stat } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { settledWithin } from '../../values/time/settled-within.js'
import { CredentialsError } from './edge-credentials.js'

/** The key of a service, and its logger. */
export interface SecretOwner {
  readonly key: string
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

export interface WatchedSecretOptions<T> extends SecretOwner {
  /** Names it for people: `credentials.file`, without what it holds. */
  readonly name: string
  /** The files that it is read from: none where it cannot change while the process runs. */
  readonly files: readonly string[]
  /** @throws {Error} that tells why it cannot be used, without what it holds */
  readonly read: () => Promise<T>
}

/** How often it is looked whether a file has changed. */
const LOOK_EVERY_MS = 1_000
/** The time for which an answer 401 waits for a look. */
const LOOK_LIMIT_MS = 2_000
/** Files that are replaced while they are read are read again, so many times at once. */
const MAX_READINGS = 3

/**
 * A secret in files that may be replaced while the process runs, also by a link that is exchanged, as the kubelet does.
 * One that cannot be used changes nothing: the former one stays, and it is read again at each look.
 */
export class WatchedSecret<T> {
  readonly #timer: NodeJS.Timeout | undefined
  /** The last value that could be used. */
  #current: { readonly value: T } | undefined
  /** The files as they were when they were read well last. */
  #seen: string | undefined
  #problem: string | undefined
  #looking: Promise<boolean> | undefined

  private constructor(private readonly options: WatchedSecretOptions<T>) {
    if (options.files.length === 0) return
    this.#timer = setInterval(() => void this.#lookIfChanged(), LOOK_EVERY_MS).unref()
  }

  /** Reads it for the first time. One that cannot be used yet is told in the log, and read later. Does not reject. */
  static async open<T>(options: WatchedSecretOptions<T>): Promise<WatchedSecret<T>> {
    const secret = new WatchedSecret(options)
    await secret.look()
    return secret
  }

  /** The value: the same object until it changes. @throws {CredentialsError} while none could be read */
  get value(): T {
    if (this.#current !== undefined) return this.#current.value
    throw new CredentialsError(`its ${this.options.name} cannot be used where it is reached; the log there says why`)
  }

  /** Reads it now. @returns whether it has changed. Does not reject */
  look(): Promise<boolean> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Reads it now, and waits no longer than an answer may: a file system may hang. Does not reject. */
  async lookSoon(): Promise<void> {
    await settledWithin(this.look(), LOOK_LIMIT_MS)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #lookIfChanged(): Promise<void> {
    if (this.#looking === undefined && (await this.#stamp()) !== this.#seen) await this.look()
  }

  async #read(): Promise<boolean> {
    const { key, name, logger } = this.options
    try {
      const { value, stamp } = await this.#readAsOne()
      this.#seen = stamp
      this.#problem = undefined
      const former = this.#current
      if (former !== undefined && isDeepStrictEqual(value, former.value)) return false
      this.#current = { value }
      if (former !== undefined) logger.info({ key, setting: name }, 'a service has other credentials from now on')
      return true
    } catch (error) {
      const problem = errorMessage(error)
      if (problem === this.#problem) return false
      this.#problem = problem
      const facts = { key, setting: name, problem }
      if (this.#current === undefined) {
        logger.warn(facts, 'a service has no credentials that can be used; its requests are refused until then')
      } else logger.warn(facts, 'cannot use the new credentials of a service; the former ones stay in force')
      return false
    }
  }

  /** Reads files that belong together: none of them is replaced in between. */
  async #readAsOne(): Promise<{ readonly value: T; readonly stamp: string }> {
    for (let reading = 1; ; reading += 1) {
      const stamp = await this.#stamp()
      const value = await this.options.read()
      if ((await this.#stamp()) === stamp || reading >= MAX_READINGS) return { value, stamp }
    }
  }

  /** Differs once a file was written or replaced, or a link on the way to it. */
  async #stamp(): Promise<string> {
    const stamps = this.options.files.map(async file => {
      try {
        const { dev, ino, size, mtimeMs, ctimeMs } = await stat(file)
        return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
      } catch {
        return '' // reading it tells
      }
    })
    return (await Promise.all(stamps)).join('\n')
  }
}
