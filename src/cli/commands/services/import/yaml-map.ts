import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { printable } from '../../../../values/text/printable.js'
import { UsageError } from '../../../command-error.js'

/** A remark on a line of a file. */
export interface Remark {
  readonly line: number
  readonly text: string
}

interface ReadFile {
  readonly document: Document
  readonly lines: LineCounter
  readonly remarks: Remark[]
}

/** A map of a YAML file. What is wrong in it becomes a remark with its line. */
export class YamlMap {
  readonly #read = new Set<string>()

  private constructor(
    private readonly file: ReadFile,
    private readonly node: unknown
  ) {}

  /** The file as a map. @param name of the file, for messages @throws {UsageError} for what is no YAML */
  static parse(text: string, name: string, remarks: Remark[]): YamlMap {
    const lines = new LineCounter()
    // Pretty errors quote the line, which may have a password in it.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
    const [error] = document.errors
    if (error !== undefined) {
      throw new UsageError(`${name}:${lines.linePos(error.pos[0]).line}: not YAML: ${printable(error.message)}`)
    }
    const root = new YamlMap({ document, lines, remarks }, document.contents)
    if (!isMap(root.node)) throw new UsageError(`${name}: no map of outgoingServices`)
    return root
  }

  get line(): number {
    return this.#lineOf(this.node)
  }

  /** Adds a remark. @param key the place; without it, that of the map itself */
  remark(text: string, key?: string): void {
    this.file.remarks.push({ line: key === undefined ? this.line : this.#lineOfKey(key), text })
  }

  has(key: string): boolean {
    return this.#value(key) !== undefined
  }

  /** A text, number or truth value as it is written; undefined where it is missing or empty. */
  text(key: string): string | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    const text = scalarText(value)
    if (text === undefined) this.remark(`${key} is left out: it should be a text`, key)
    return text === '' ? undefined : text
  }

  /** Whether a value is true, in the words of YAML 1.1 as well. */
  flag(key: string): boolean {
    return /^(?:true|yes|on|y)$/i.test(this.text(key) ?? '')
  }

  /** A map within this one; undefined where it is missing. */
  map(key: string): YamlMap | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    if (isMap(value)) return new YamlMap(this.file, value)
    this.remark(`${key} is left out: it should be a map`, key)
    return undefined
  }

  /** The maps of a list; none where it is missing. */
  maps(key: string): YamlMap[] {
    return this.#items(key).flatMap(item => {
      const node = this.#resolve(item)
      if (isMap(node)) return [new YamlMap(this.file, node)]
      this.file.remarks.push({ line: this.#lineOf(node, key), text: `an entry of ${key} is left out: it is no map` })
      return []
    })
  }

  /** The texts of a list; none where it is missing. */
  texts(key: string): string[] {
    return this.#items(key).flatMap(item => scalarText(this.#resolve(item)) ?? [])
  }

  /** All keys with a text, as annotations are. */
  allTexts(): Record<string, string> {
    const texts = this.#keys().map(key => [key, this.text(key) ?? ''] as const)
    return Object.fromEntries(texts)
  }

  /** Adds a remark for each key that nobody has asked for. @param where what the map is, for the remark */
  remarkUnknown(where: string): void {
    for (const key of this.#keys()) {
      if (!this.#read.has(key)) this.remark(`${printable(key)} of ${where} is not known, and left out`, key)
    }
  }

  #items(key: string): readonly unknown[] {
    const value = this.#value(key)
    if (value === undefined) return []
    if (isSeq(value)) return value.items
    this.remark(`${key} is left out: it should be a list`, key)
    return []
  }

  /** The node of a value; undefined where it is missing, or null. */
  #value(key: string): unknown {
    this.#read.add(key)
    const value = this.#resolve(this.#pair(key)?.value)
    return value === null || (isScalar(value) && value.value === null) ? undefined : value
  }

  #pair(key: string) {
    return isMap(this.node) ? this.node.items.find(pair => scalarText(pair.key) === key) : undefined
  }

  #keys(): string[] {
    return isMap(this.node) ? this.node.items.map(({ key }) => scalarText(key) ?? 'a key that is no text') : []
  }

  #resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.file.document) : node
  }

  #lineOfKey(key: string): number {
    return this.#lineOf(this.#pair(key)?.key)
  }

  /** @param key that of a list with the node, for a node without a place */
  #lineOf(node: unknown, key?: string): number {
    const range = isMap(node) || isScalar(node) || isSeq(node) ? node.range : undefined
    if (range) return this.file.lines.linePos(range[0]).line
    return key === undefined ? 1 : this.#lineOfKey(key)
  }
}

/** A scalar as it is written, so that `012` and `1e3` stay what they are. */
function scalarText(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined
  return node.type === 'PLAIN' && node.source !== undefined ? node.source : String(node.value)
}
