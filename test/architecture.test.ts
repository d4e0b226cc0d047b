import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../src', import.meta.url))
const MAX_LINES = 350

/** Which layers each one may import, besides itself. `config` and `values` are leaves that all may use. */
const LEAVES = ['values', 'config']
const FEATURES = ['remote-run', 'shared-files', 'shared-folder', 'links', 'tree-sync', 'membership']
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  values: [],
  config: ['values'],
  storage: LEAVES,
  tree: ['storage', ...LEAVES],
  'remote-run': ['tree', 'storage', ...LEAVES],
  'shared-files': ['tree', 'storage', ...LEAVES],
  'shared-folder': ['tree', 'storage', ...LEAVES],
  links: ['tree', 'storage', ...LEAVES],
  membership: ['tree', 'storage', ...LEAVES],
  'tree-sync': ['tree', 'storage', ...LEAVES],
  client: ['links', 'tree', ...LEAVES],
  api: [...FEATURES, 'tree', 'storage', ...LEAVES],
  jobs: [...FEATURES, 'tree', 'storage', ...LEAVES],
  relay: ['api', 'jobs', ...FEATURES, 'tree', 'storage', ...LEAVES],
  cli: LEAVES,
  agent: ['cli', 'api', 'remote-run', 'links', 'membership', 'tree', 'storage', ...LEAVES]
}

/** What starts the process wires everything, so these files may import any layer. */
const WIRING: readonly string[] = [
  'cli/serve.ts',
  'cli/init.ts',
  'cli/join.ts',
  'cli/client.ts',
  'cli/agent.ts',
  'cli/nodes-restore.ts',
  'main.ts'
]

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

function layerOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : ''
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

test('every folder of src is a known layer', () => {
  const folders = new Set(sources.map(file => file.layer).filter(layer => layer !== ''))
  for (const folder of folders) assert.ok(folder in LAYERS, `src/${folder} is not in the table of layers`)
})

test('imports point down', () => {
  for (const file of sources) {
    if (WIRING.includes(file.path)) continue
    for (const { specifier } of file.imports) {
      const target = resolveImport(file, specifier)
      if (target === undefined) continue
      const layer = layerOf(target)
      const isAllowed = layer === file.layer || (LAYERS[file.layer] ?? []).includes(layer)
      assert.ok(isAllowed, `src/${file.path} imports src/${target}: ${file.layer} must not know ${layer || 'main'}`)
    }
  }
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
  assert.ok(loaded.has('fastify') && loaded.has('links/link-registry.ts'), 'this looks at the wrong files')
  for (const late of ['ws', 'undici', 'prom-client', 'pino-pretty', '@peculiar/x509', '@fastify/send']) {
    assert.equal(loaded.get(late), undefined, `${late} takes memory in every relay; see docs/benchmarks.md, row idle`)
  }
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
    'take the type from storage/database.ts'
  )
  assert.deepEqual(holding(sql), [], 'put the SQL into a file of src/storage')
  assert.deepEqual(holding(call), [], 'make what they do to the database a function of src/storage')
})

test('only src/api decides the status of a relay’s answer', () => {
  const deciding = /\b(?:reply|response|res)(?:\.raw)?\s*\.\s*(?:code|status|writeHead)\s*\(|\bstatusCode\s*=[^=]/
  for (const file of sources) {
    if (file.layer === 'api' || file.layer === 'client') continue // the client is a server of its own
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

test('files are named in kebab-case and stay small', () => {
  for (const file of sources) {
    assert.match(file.path, /^([a-z0-9-]+\/)*[a-z0-9-]+\.ts$/)
    const lines = file.text.split('\n').length - 1
    assert.ok(lines <= MAX_LINES, `src/${file.path} has ${lines} lines: split it along a noun`)
  }
})

test('nothing switches the checks of the compiler off', () => {
  for (const file of sources) {
    assert.doesNotMatch(file.text, /@ts-(ignore|nocheck|expect-error)/, `src/${file.path}`)
    assert.doesNotMatch(withoutComments(file.text), /\bas any\b|: any\b|<any>/, `src/${file.path}`)
  }
})
