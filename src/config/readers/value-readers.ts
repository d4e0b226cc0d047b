import { isAbsolute, resolve } from 'node:path'
import { NetworkSet } from '../../network/network-set.js'
import { parseByteSize } from '../../values/byte-size.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isNodeId } from '../../values/ids.js'
import { formatDuration, MAX_DURATION_MS, parseDuration } from '../../values/time/duration.js'

/** Checks one value of a TOML file and turns it into what the program works with. */
export interface ValueReader<T> {
  /** Completes "expected …" in a message. */
  readonly expected: string
  /** The value never appears in a message. */
  readonly isSecret?: boolean
  /** @returns undefined when `raw` is not what is expected */
  parse(raw: unknown): T | undefined
}

/** The longest time that Node's timers can wait; beyond, they fire at once. */
export const MAX_TIMER_MS = 24 * 24 * 3_600_000

const MAX_TEXT_LENGTH = 4096
const MAX_ARGUMENTS = 64
/** The length that all systems allow for the address of a Unix socket. */
const MAX_SOCKET_PATH_BYTES = 103

export const flag: ValueReader<boolean> = {
  expected: 'true or false',
  parse: raw => (typeof raw === 'boolean' ? raw : undefined)
}

export const plainText: ValueReader<string> = {
  expected: `a text of 1 to ${MAX_TEXT_LENGTH} characters`,
  parse: raw => (isPlainText(raw) ? raw : undefined)
}

/** @param expected completes "expected …" in a message */
export function textReader(expected: string, isGood: (text: string) => boolean): ValueReader<string> {
  return {
    expected,
    parse: raw => {
      const text = plainText.parse(raw)
      return text !== undefined && isGood(text) ? text : undefined
    }
  }
}

/** The arguments of a command. */
export const texts: ValueReader<readonly string[]> = {
  expected: `a list of at most ${MAX_ARGUMENTS} texts`,
  parse: raw => {
    if (!Array.isArray(raw) || raw.length > MAX_ARGUMENTS) return undefined
    const parsed = raw.map(text => plainText.parse(text))
    return parsed.every(text => text !== undefined) ? parsed : undefined
  }
}

export const nodeIdText = textReader('a node id of 1 to 128 characters A-Z a-z 0-9 - _ .', isNodeId)

/** May be empty, as it is in an existing relay's file. */
export const secretText: ValueReader<string> = {
  expected: 'a text in quotes',
  isSecret: true,
  parse: raw => (raw === '' || isPlainText(raw) ? raw : undefined)
}

/** A path; relative ones count from `directory`. */
export function pathFrom(directory: string): ValueReader<string> {
  return { expected: 'a path', parse: raw => (isPlainText(raw) ? resolve(directory, raw) : undefined) }
}

/** A path as {@link pathFrom} that can be the address of a Unix socket: a longer one would be cut off in silence. */
export function socketPath(directory: string): ValueReader<string> {
  return {
    expected: `a path that has, as an absolute one, ${MAX_SOCKET_PATH_BYTES} bytes at most`,
    parse: raw => {
      const path = pathFrom(directory).parse(raw)
      return path !== undefined && Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES ? path : undefined
    }
  }
}

/** A path as {@link pathFrom}, or a bare name that the system looks up in `PATH`. */
export function commandPath(directory: string): ValueReader<string> {
  return {
    expected: 'a path of a command, or its name',
    parse: raw => {
      if (!isPlainText(raw)) return undefined
      return raw.includes('/') && !isAbsolute(raw) ? resolve(directory, raw) : raw
    }
  }
}

export function oneOf<const T extends string>(...choices: readonly T[]): ValueReader<T> {
  return { expected: choices.join(', '), parse: raw => choices.find(choice => choice === raw) }
}

export function wholeNumber(min: number, max: number): ValueReader<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse: raw => (isWhole(raw) && raw >= min && raw <= max ? raw : undefined)
  }
}

/** In ms. A number in the file is seconds. */
export function duration(minMs: number, maxMs: number = MAX_DURATION_MS): ValueReader<number> {
  return {
    expected: `a time such as 30, "10min" or "1h 7s", from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    parse: raw => {
      const durationMs = orUndefined(() =>
        typeof raw === 'string' || isWhole(raw) ? parseDuration(`${raw}`) : undefined
      )
      return durationMs !== undefined && durationMs >= minMs && durationMs <= maxMs ? durationMs : undefined
    }
  }
}

/**
 * A {@link duration} for a key of existing relays, which take every value: one beyond the bounds counts as the bound.
 */
export function boundedDuration(minMs: number, maxMs: number = MAX_DURATION_MS): ValueReader<number> {
  const every = duration(0)
  return {
    expected: every.expected,
    parse: raw => {
      const durationMs = every.parse(raw)
      return durationMs === undefined ? undefined : Math.min(Math.max(durationMs, minMs), maxMs)
    }
  }
}

/** In bytes. */
export function byteSize(min: number, max: number = Number.MAX_SAFE_INTEGER): ValueReader<number> {
  return {
    expected: `a number of bytes, or a text such as "50MiB" or "2GB", from ${min} to ${max} bytes`,
    parse: raw => {
      const bytes = orUndefined(() => (typeof raw === 'string' || isWhole(raw) ? parseByteSize(`${raw}`) : undefined))
      return bytes !== undefined && bytes >= min && bytes <= max ? bytes : undefined
    }
  }
}

/** A list of networks in CIDR form or single addresses. */
export const networks: ValueReader<NetworkSet> = {
  expected: 'a list of networks, such as ["10.0.0.0/8", "fd00::/8"]',
  parse: raw => {
    if (!Array.isArray(raw) || !raw.every(item => typeof item === 'string')) return undefined
    try {
      return new NetworkSet(raw)
    } catch (error) {
      if (error instanceof RangeError) return undefined
      throw error
    }
  }
}

function isWhole(raw: unknown): raw is number {
  return typeof raw === 'number' && Number.isSafeInteger(raw)
}

/** No control characters: such a text is a path, a name or a header's value. */
function isPlainText(raw: unknown): raw is string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is them that are refused
  return typeof raw === 'string' && raw !== '' && raw.length <= MAX_TEXT_LENGTH && !/[\u0000-\u001f\u007f]/.test(raw)
}

function orUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof RelayError) return undefined
    throw error
  }
}
