import type { ConfigNotice } from '../config.js'
import { nearestWord } from './spelling.js'
import type { ValueReader } from './value-readers.js'

/** All that came up while one configuration was read. */
export interface Findings {
  readonly problems: string[]
  readonly notices: ConfigNotice[]
}

type Table = Readonly<Record<string, unknown>>

/**
 * A table of a TOML file. Each key is named once, where it is read, with its default and its check; what was not named
 * by then is unknown. Problems are collected, so that an operator sees them all at once.
 */
export class Section {
  readonly #named = new Set<string>()
  readonly #children = new Map<string, Section>()

  /**
   * @param file as the operator knows it: `main.conf`
   * @param path of the table, empty for the whole file
   */
  constructor(
    readonly file: string,
    readonly path: string,
    readonly findings: Findings,
    private readonly table: Table
  ) {}

  /** The value of `key`, or the default, which is written as it would be in the file. */
  read<T>(key: string, reader: ValueReader<T>, defaultValue: unknown): T {
    const value = this.optional(key, reader)
    if (value !== undefined) return value
    const fallback = reader.parse(defaultValue)
    if (fallback === undefined) throw new TypeError(`the default of ${this.#name(key)} does not pass its own check`)
    return fallback
  }

  /** The value of `key`; undefined when it is absent, or wrong and noted as a problem. */
  optional<T>(key: string, reader: ValueReader<T>): T | undefined {
    const raw = this.raw(key)
    if (raw === undefined) return undefined
    const value = reader.parse(raw)
    if (value === undefined) {
      const got = reader.isSecret === true ? 'something else' : showValue(raw)
      this.problem(key, `expected ${reader.expected}, got ${got}`)
    }
    return value
  }

  /** The value of `key`; where it is absent that is a problem, as is a wrong one. */
  required<T>(key: string, reader: ValueReader<T>): T | undefined {
    if (this.raw(key) === undefined) this.problem(key, `missing: expected ${reader.expected}`)
    return this.optional(key, reader)
  }

  /** The tables of the list under `key` (`[[key]]`), `max` of them at most; none when it is absent. */
  sections(key: string, max: number): Section[] {
    const raw = this.raw(key)
    if (raw === undefined) return []
    if (!Array.isArray(raw) || !raw.every(isTable) || raw.length > max) {
      this.problem(key, `expected at most ${max} sections [[${this.#name(key)}]], got ${showValue(raw)}`)
      return []
    }
    return raw.map((table, index) => {
      const child = new Section(this.file, `${this.#name(key)}[${index}]`, this.findings, table)
      this.#children.set(`${key}[${index}]`, child)
      return child
    })
  }

  /** The value of `key` as it stands, which makes it a known key. */
  raw(key: string): unknown {
    this.#named.add(key)
    return Object.hasOwn(this.table, key) ? this.table[key] : undefined
  }

  /** The table under `key`; an empty one when it is absent. */
  section(key: string): Section {
    const known = this.#children.get(key)
    if (known !== undefined) return known
    const raw = this.raw(key)
    const isUsable = raw === undefined || isTable(raw)
    if (!isUsable) this.problem(key, `expected a section, got ${showValue(raw)}`)
    const child = new Section(this.file, this.#name(key), this.findings, isTable(raw) ? raw : {})
    this.#children.set(key, child)
    return child
  }

  /** All keys, for a section in which the operator chooses them. */
  keys(): string[] {
    return Object.keys(this.table)
  }

  problem(key: string, text: string): void {
    this.findings.problems.push(`${this.file}: ${this.#name(key)}: ${text}`)
  }

  notice(level: ConfigNotice['level'], key: string, text: string): void {
    this.findings.notices.push({ level, text: `${this.file}: ${this.#name(key)}: ${text}` })
  }

  /** Notices unknown keys. Called once, on the whole file, when everything has been read. */
  noticeUnknownKeys(): void {
    for (const key of this.keys()) {
      if (this.#named.has(key)) continue
      const meant = nearestWord(key, this.#named)
      const hint = meant === undefined ? '' : `; did you mean ${this.#name(meant)}?`
      this.notice('warning', key.slice(0, 80), `unknown key, ignored${hint}`)
    }
    for (const child of this.#children.values()) child.noticeUnknownKeys()
  }

  #name(key: string): string {
    const shown = /^[\w-]+$/.test(key) ? key : JSON.stringify(key)
    return this.path === '' ? shown : `${this.path}.${shown}`
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

function showValue(value: unknown): string {
  if (isTable(value)) return 'a section'
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value))
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
