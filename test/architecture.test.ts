import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ReadFile, readFolder } from './support/source-files.js'

const SOURCE = fileURLToPath(new URL('../src', import.meta.url))
const MAX_LINES = 300
/** Besides its rooms. */
const MAX_FILES = 16

/** Folders that all others may use; their own rows say what each of them may. */
const LEAVES = ['config', 'process', 'network', 'keys', 'file-system', 'values']

/** A row of the table in CONTRIBUTING.md. */
interface Room {
  /** Relative to src: a folder, or a file. */
  readonly path: string
  /** Paths below which it may import; undefined: everything. */
  readonly mayImport: readonly string[] | undefined
}

/** One import or re-export of a source file. */
interface Import {
  readonly specifier: string
  readonly isTypeOnly: boolean
  /** Loaded when it is come to, not with the file. */
  readonly isLate: boolean
}

interface SourceFile {
  /** Relative to src, with slashes. */
  readonly path: string
  readonly layer: string
  readonly text: string
  readonly imports: readonly Import[]
}

const STATIC_IMPORT = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm
const DYNAMIC_IMPORT = /\bimport\('([^']+)'\)(\.[A-Z])?/g

function readSources(): SourceFile[] {
  return readdirSync(SOURCE, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => {
      const file = join(entry.parentPath, entry.name)
      const path = relative(SOURCE, file).split(sep).join('/')
      const text = readFileSync(file, 'utf8')
      const layer = path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
      return { path, layer, text, imports: findImports(text) }
    })
}

function readTests(): readonly ReadFile[] {
  return readFolder('test')
}

function findImports(text: string): Import[] {
  const code = withoutComments(text)
  const found: Import[] = []
  for (const [, type, specifier = ''] of code.matchAll(STATIC_IMPORT)) {
    found.push({ specifier, isTypeOnly: type !== undefined, isLate: false })
  }
  for (const [, specifier = '', member] of code.matchAll(DYNAMIC_IMPORT)) {
    found.push({ specifier, isTypeOnly: member !== undefined, isLate: true }) // import('x').Name is a type
  }
  return found
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

/** The source file that an import leads to; undefined for a package. */
function resolveImport(from: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return join(dirname(from.path), specifier).split(sep).join('/').replace(/\.js$/, '.ts')
}

function readRooms(): Room[] {
  const text = readFileSync(new URL('../CONTRIBUTING.md', import.meta.url), 'utf8')
  const table = /\| folder \| what it does \| may import \|\n\|[- |]+\n((?:\|.*\|\n)+)/.exec(text)?.[1] ?? ''
  return table
    .trim()
    .split('\n')
    .map(row => {
      const [, folder = '', , imports = ''] = row.split('|')
      const path = namesIn(folder)[0]?.replace(/^src\//, '') ?? ''
      return { path, mayImport: imports.trim() === 'everything' ? undefined : namesIn(imports) }
    })
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

/** The room of a file: the longest path of the table that leads to it. */
function roomOf(path: string): Room | undefined {
  return rooms.filter(room => isBelow(path, room.path)).sort((a, b) => b.path.length - a.path.length)[0]
}

/** The first circle of files found, as a path that ends where it began. */
function findCircle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  function visit(path: string, way: readonly string[]): string[] | undefined {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path]
    if (done.has(path)) return undefined
    for (const next of graph.get(path) ?? []) {
      const circle = visit(next, [...way, path])
      if (circle !== undefined) return circle
    }
    done.add(path)
    return undefined
  }
  for (const path of graph.keys()) {
    const circle = visit(path, [])
    if (circle !== undefined) return circle
  }
  return undefined
}

const sources = readSources()
const rooms = readRooms()

test('the checks below have something to check', () => {
  assert.ok(sources.length > 20)
  const example = "import { a } from './a.js'\nimport type { B } from \"x\"\nexport * from '../c.js'\nawait import('d')"
  assert.deepEqual(
    findImports(
      `${example}\n// import 'e'\n/* import 'f' */\nimport 'g'\nimport {\n  h\n} from 'i'`.replaceAll('"', "'")
    ),
    [
      { specifier: './a.js', isTypeOnly: false, isLate: false },
      { specifier: 'x', isTypeOnly: true, isLate: false },
      { specifier: '../c.js', isTypeOnly: false, isLate: false },
      { specifier: 'g', isTypeOnly: false, isLate: false },
      { specifier: 'i', isTypeOnly: false, isLate: false },
      { specifier: 'd', isTypeOnly: false, isLate: true }
    ]
  )
  const circle = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']]
  ])
  assert.deepEqual(findCircle(circle), ['b', 'c', 'b'])
})

test('every file is in a room of the table in CONTRIBUTING.md, and every room has files', () => {
  assert.ok(rooms.length > 20)
  for (const { path } of sources) assert.ok(roomOf(path) !== undefined, `no row of the table is for src/${path}`)
  for (const room of rooms)
    assert.ok(
      sources.some(file => roomOf(file.path) === room),
      `nothing is in src/${room.path}`
    )
  const named = rooms.flatMap(room => room.mayImport ?? [])
  for (const name of named)
    assert.ok(
      sources.some(({ path }) => isBelow(path, name)),
      `there is no src/${name}`
    )
})

test('imports point down, as the table in CONTRIBUTING.md says', () => {
  for (const file of sources) {
    const room = roomOf(file.path)
    if (room?.mayImport === undefined) continue
    const leaves = LEAVES.includes(file.layer) ? [] : LEAVES
    for (const { specifier } of file.imports) {
      const target = resolveImport(file, specifier)
      if (target === undefined || roomOf(target) === room) continue
      const isAllowed = [room.path, ...room.mayImport, ...leaves].some(path => isBelow(target, path))
      assert.ok(isAllowed, `src/${file.path} imports src/${target}, which src/${room.path} may not`)
    }
  }
})

test('a folder has few files', () => {
  const counts = new Map<string, number>()
  for (const { path } of sources) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1)
  for (const [folder, count] of counts)
    assert.ok(count <= MAX_FILES, `src/${folder} has ${count} files: make rooms by role`)
})

test('no files import one another in a circle, not even for types', () => {
  const graph = new Map(
    sources.map(file => [file.path, file.imports.flatMap(({ specifier }) => resolveImport(file, specifier) ?? [])])
  )
  assert.equal(findCircle(graph)?.join(' > '), undefined)
})

test('a relay loads what many relays never need when it is first needed', () => {
  const loaded = new Map<string, string>([['relay/relay.ts', 'relay/relay.ts']])
  for (const [path, way] of loaded) {
    const file = sources.find(source => source.path === path)
    for (const { specifier, isTypeOnly, isLate } of file?.imports ?? []) {
      if (file === undefined || isTypeOnly || isLate) continue
      const target = resolveImport(file, specifier) ?? specifier
      if (!loaded.has(target)) loaded.set(target, `${way} > ${target}`)
    }
  }
  assert.ok(loaded.has('fastify') && loaded.has('links/upper/link-registry.ts'), 'this looks at the wrong files')
  for (const late of ['ws', 'undici', 'prom-client', 'pino-pretty', '@peculiar/x509', '@fastify/send']) {
    assert.equal(loaded.get(late), undefined, `${late} takes memory in every relay; see docs/benchmarks.md, row idle`)
  }
})

test('a package that is loaded late is in the bundle, whose imports keep no failure, unless it is loaded at the start', () => {
  const late = sources.flatMap(({ imports }) => imports.filter(({ isLate, isTypeOnly }) => isLate && !isTypeOnly))
  const packages = late.map(({ specifier }) => specifier).filter(specifier => !specifier.startsWith('.'))
  assert.deepEqual(packages.sort(), ['@fastify/send', 'bufferutil', 'pino-pretty'])
})

test('every HTTP server keeps all headers of a request: Node drops what is beyond a number in silence', () => {
  const makesServer =
    /\bfastify\(|\bcreateServer as createHttpServer\b|import \{[^}]*\bcreateServer\b[^}]*\} from 'node:https?'/
  const isComplete =
    /\.maxHeadersCount = MAX_HEADERS_OFF\b|\bcompleteServer\(|\bserverFactory: listener => createPlainServer\(/
  const servers = sources.filter(({ text }) => makesServer.test(withoutComments(text)))
  assert.ok(servers.length >= 6, servers.map(({ path }) => path).join(' '))
  for (const { path, text } of servers) {
    assert.match(text, isComplete, `src/${path} makes a server with the default of Node`)
  }
})

test('only src/storage knows better-sqlite3 and SQL', () => {
  const sql =
    /[`'"]\s*(SELECT\b[^'"`]*\bFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|PRAGMA)\b/i
  const call = /\b(db|database)\.(prepare|exec|pragma|transaction)\(/
  const others = sources.filter(file => file.layer !== 'storage')
  const holding = (pattern: RegExp) =>
    others.filter(file => pattern.test(withoutComments(file.text))).map(file => file.path)
  const importing = others.filter(file =>
    file.imports.some(({ specifier }) => /^better-sqlite3|storage\/sqlite\.js$/.test(specifier))
  )
  assert.deepEqual(
    importing.map(file => file.path),
    [],
    'take the type from storage/sqlite-engine/database.ts'
  )
  const isChosen = /storage\/sqlite\/|better-sqlite3/
  const choosing = others.filter(file => file.imports.some(({ specifier }) => isChosen.test(specifier)))
  assert.deepEqual(
    choosing.map(({ path }) => path),
    [],
    'storage/repositories/open-storage.ts alone chooses a storage'
  )
  assert.deepEqual(holding(/SQLITE_/), [], 'decide by the kind of a StorageFailure')
  assert.deepEqual(holding(sql), [], 'put the SQL into a file of src/storage')
  assert.deepEqual(holding(call), [], 'make what they do to the database a function of src/storage')
})

test('only src/api decides the status of a relay’s answer', () => {
  const deciding = /\b(?:reply|response|res)(?:\.raw)?\s*\.\s*(?:code|status|writeHead)\s*\(|\bstatusCode\s*=[^=]/
  for (const file of sources) {
    if (file.layer === 'api' || file.layer === 'client-proxy') continue // the client is a server of its own
    assert.doesNotMatch(withoutComments(file.text), deciding, `src/${file.path} decides an HTTP status`)
    const isFastifyKnown = file.imports.some(({ specifier, isTypeOnly }) => specifier === 'fastify' && !isTypeOnly)
    assert.ok(!isFastifyKnown, `src/${file.path} imports fastify`)
  }
})

test('exports have names', () => {
  for (const file of sources) {
    assert.doesNotMatch(withoutComments(file.text), /^export default\b|\bas default\b/m, `src/${file.path}`)
  }
})

test('files are named in kebab-case and stay small, those of tests too', () => {
  for (const { path, text } of [...sources.map(file => ({ ...file, path: `src/${file.path}` })), ...readTests()]) {
    assert.match(path, /^([a-z0-9-]+\/)*[a-z0-9-]+(\.test)?\.ts$/)
    const lines = text.split('\n').length - 1
    assert.ok(lines <= MAX_LINES, `${path} has ${lines} lines: split it along a noun`)
  }
})

test('nothing switches the checks of the compiler off', () => {
  for (const file of sources) {
    assert.doesNotMatch(file.text, /@ts-(ignore|nocheck|expect-error)/, `src/${file.path}`)
    assert.doesNotMatch(withoutComments(file.text), /\bas any\b|: any\b|<any>/, `src/${file.path}`)
  }
})
