import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/config-parser.js'

interface DocumentedKey {
  /** `general`, `shared_files.cleanup`, … */
  readonly section: string
  readonly key: string
  /** As TOML; undefined where the page gives none. */
  readonly defaultValue: string | undefined
}

const ID = 'node_id = "relay-1"'
const HOST = 'host = "rudder.example.com"'

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

function documentedKeys(page: string): DocumentedKey[] {
  const keys: DocumentedKey[] = []
  let section = ''
  for (const line of page.split('\n')) {
    section = /^### \[([a-z_.[]+)\]{1,2}( of logging\.conf)?$/.exec(line)?.slice(1).join('') ?? section
    const [, names = '', defaultValue] = /^\| ((?:`[a-z_]+`(?:, )?)+) \| (?:`(.*?)`)? ?\|/.exec(line) ?? []
    for (const [, key = ''] of names.matchAll(/`([a-z_]+)`/g)) keys.push({ section, key, defaultValue })
  }
  return keys
}

const keys = documentedKeys(read('docs/configuration.md'))

test('the page names every key that is read', () => {
  const named = new Set(keys.map(({ key }) => key))
  const parsers = [
    'config-parser',
    'logging-parser',
    'services-parser',
    'service-listeners-parser',
    'services/service-parser',
    'services/credentials-parser'
  ]
  const source = parsers.map(name => read(`src/config/${name}.ts`)).join('')
  const readKeys = [...source.matchAll(/\.(?:read|optional)\(\s*'([a-z_]+)'/g)].map(([, key = '']) => key)
  assert.ok(readKeys.length > 35)
  for (const key of readKeys) assert.ok(named.has(key), `docs/configuration.md does not explain ${key}`)
})

test('the defaults of the page are those of the program, and it names no key that is unknown', () => {
  const main = new Map([
    ['general', [ID]],
    ['output.upstream', [HOST]]
  ])
  for (const { section, key, defaultValue } of keys) {
    if (section.endsWith('logging.conf') || section.startsWith('[') || defaultValue === undefined) continue
    main.set(section, [...(main.get(section) ?? []), `${key} = ${defaultValue}`])
  }
  const written = [...main].map(([section, lines]) => `[${section}]\n${lines.join('\n')}\n`).join('\n')
  const least = `[general]\n${ID}\n[output.upstream]\n${HOST}`
  const parse = (text: string) => parseConfig(text, '[general]\nlevel = "info"\nfilter = ""', '/etc/relay', () => '')
  assert.ok(written.split('\n').length > 35)
  assert.deepEqual(parse(written), parse(least))
  assert.deepEqual(parse(written).notices, [])
})

test('the examples of the page are good configurations', () => {
  const examples = [...read('docs/configuration.md').matchAll(/```toml\n([\s\S]*?)```/g)].map(
    ([, example = '']) => example
  )
  assert.equal(examples.length, 7)
  for (const example of examples) {
    const base = example.includes('node_id') ? '' : `[general]\n${ID}\n[output.upstream]\n${HOST}\n`
    assert.deepEqual(parseConfig(`${base}${example}`, '', '/etc/relay', () => '').notices, [])
  }
})
