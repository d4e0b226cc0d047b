import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ACCESS } from '../src/api/callers/access.js'
import { parseConfig } from '../src/config/config-parser.js'
import { MAX_RUNS } from '../src/remote-run/run-slots.js'
import { MAX_CHAIN_LENGTH } from '../src/tree/import/chain-check.js'
import { MAX_NODE_COUNT } from '../src/tree/import/nodes-list.js'
import { makeRelayParts } from './support/parts/relay-parts.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NOT_OURS = new Set(['node_modules', 'dist', '.git'])

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function markdownFiles(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownFiles(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '')
}

/** The rows of all tables under a heading, cell by cell, without the tables' own headings. */
function tableRows(markdown: string, heading: string): string[][] {
  const [, section = ''] = markdown.split(`\n${heading}\n`)
  const lines = section.split(/^## /m, 1)[0]?.split('\n') ?? []
  return lines
    .filter(
      (line, index) => /^\s*\| /.test(line) && !/^\s*\| ---/.test(line) && !/^\s*\| ---/.test(lines[index + 1] ?? '')
    )
    .map(line =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map(cell => cell.trim())
    )
}

/** As GitHub names the anchor of a heading. */
function anchors(markdown: string): Set<string> {
  const headings = [...withoutCode(markdown).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title)
  return new Set(
    headings.map(title =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-')
    )
  )
}

test('links between pages lead somewhere', () => {
  const pages = markdownFiles()
  assert.ok(pages.includes('README.md') && pages.length > 20)
  for (const page of pages) {
    for (const [, link = ''] of withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      assert.ok(existsSync(join(ROOT, target)), `${page} links to ${link}, which is not there`)
      if (anchor !== undefined) assert.ok(anchors(read(target)).has(anchor), `${page}: ${target} has no #${anchor}`)
    }
  }
})

test('the source files that pages name exist', () => {
  const files = ['src', 'test', 'bench', 'demo'].flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(file => join(folder, file))
  )
  for (const page of markdownFiles()) {
    for (const [, name = ''] of read(page).matchAll(/`([\w/*.-]+\.ts)`/g)) {
      const pattern = new RegExp(`(^|/)${name.replaceAll('.', '\\.').replaceAll('*', '[\\w-]*')}$`)
      assert.ok(
        files.some(file => pattern.test(file)),
        `${page}: there is no ${name}`
      )
    }
  }
})

test('the commands of npm that pages name exist', () => {
  const scripts = Object.keys(JSON.parse(read('package.json')).scripts)
  for (const page of markdownFiles()) {
    for (const [, name = ''] of read(page).matchAll(/\bnpm run ([a-z]+)/g)) {
      assert.ok(scripts.includes(name), `${page}: there is no npm run ${name}`)
    }
  }
})

test('docs/metrics.md has every metric that is served, and no other', async t => {
  const parts = await makeRelayParts()
  t.after(parts.close)
  const text = await parts.services.metrics.text()
  const served = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`)
  const page = read('docs/metrics.md')
  const documented = [...page.matchAll(/^\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \|/gm)]
  assert.ok(served.length > 30)
  assert.deepEqual(documented.map(([, name, type]) => `${name} ${type}`).sort(), served.sort())
})

test('the dashboard and the examples use metrics that are served', () => {
  const page = read('docs/metrics.md')
  const known = new Set([...page.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map(([, name]) => name))
  const expressions = `${page}\n${read('docs/grafana-dashboard.json')}`
  const used = [...expressions.matchAll(/\b((?:treeline|process|nodejs)_[a-z0-9_]+)\b/g)].map(([, name = '']) => name)
  for (const name of used) {
    assert.ok(known.has(name) || known.has(name.replace(/_(?:bucket|count|sum)$/, '')), `${name} is not served`)
  }
  const dashboard: { readonly panels: readonly { readonly id: number }[] } = JSON.parse(
    read('docs/grafana-dashboard.json')
  )
  assert.equal(new Set(dashboard.panels.map(panel => panel.id)).size, dashboard.panels.length)
})

test('docs/security.md says who may call what, as the code does', () => {
  const rows = tableRows(read('docs/security.md'), '## Who may call what').filter(row => row.length === 4)
  assert.equal(rows.length, Object.keys(ACCESS).length)
  for (const [group, rule] of Object.entries(ACCESS)) {
    const [, , callers = '', setting = ''] = rows.find(([name]) => name === `\`${group}\``) ?? []
    const kinds = callers === 'all' ? ACCESS.open.kinds : callers.split(', ')
    const own = (rule.own ?? []).map(kind => `${kind} (its own)`)
    assert.deepEqual([...kinds].sort(), [...rule.kinds, ...own].sort(), group)
    assert.equal(setting !== '', rule.networks !== undefined, group)
    if (setting !== '') assert.ok(rule.remedy.includes(setting.replaceAll('`', '')), group)
  }
})

const UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  s: 1_000,
  h: 3_600_000,
  days: 24 * 3_600_000,
  bits: 1,
  characters: 1
}

/** `16 KiB` in bytes, `10 s` in ms, `1,000` as it is. */
function boundValue(text: string): number {
  const [, digits = '', unit] = /^([\d,]+)(?: (\w+))?$/.exec(text) ?? []
  return Number(digits.replaceAll(',', '')) * (unit === undefined ? 1 : (UNITS[unit] ?? Number.NaN))
}

/** What constants of this name are in a folder's files: products and differences of whole numbers. */
function constantValues(folder: string, name: string): number[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .flatMap(file => [
      ...read(join(folder, file)).matchAll(new RegExp(`^(?:export )?const ${name} = ([\\w *]+)$`, 'gm'))
    ])
    .map(([, product = '']) => product.split('*').reduce((value, factor) => value * factorValue(factor.trim()), 1))
}

/** The value of a number, or of another constant. */
function factorValue(factor: string): number {
  return /^\d/.test(factor) ? Number(factor.replaceAll('_', '')) : (constantValues('src', factor)[0] ?? Number.NaN)
}

test('the bounds of docs/limits.md are those of the code', () => {
  const page = read('docs/limits.md')
  let count = 0
  for (const heading of [
    '## Requests',
    '## Shared files',
    '## Remote runs',
    '## Links',
    '## Joining',
    '## The tree and neighbours'
  ]) {
    for (const [what = '', bound = '', , where = ''] of tableRows(page, heading)) {
      const [, name = '', folder = ''] = /^`([A-Z_\d]+)` in `(src\/[a-z-]+)`$/.exec(where) ?? []
      const found = name === '' ? [] : constantValues(folder, name)
      assert.ok(
        found.includes(boundValue(bound)),
        `${what}: ${bound} is not ${name} in ${folder} (${found.join(', ')})`
      )
      count += 1
    }
  }
  assert.ok(count > 25)
})

test('the settings that pages for operators name exist, with the defaults of docs/limits.md', () => {
  const configuration = read('docs/configuration.md')
  for (const page of [
    'docs/limits.md',
    'README.md',
    'docs/by-hand.md',
    'docs/troubleshooting.md',
    'docs/operations.md',
    'docs/security.md',
    'docs/beside-rudder.md'
  ]) {
    for (const [, section, key] of read(page).matchAll(
      /`(general|limits|remote_run|shared_files|shared_folder|metrics|tokens|storage)\.([a-z0-9_]+)/g
    )) {
      assert.match(configuration, new RegExp(`^\\| .*\`${key}\``, 'm'), `${page}: ${section}.${key}`)
    }
  }
  const config = parseConfig('[general]\nnode_id = "root"', '', '/etc/treeline', () => '')
  const numbers: Readonly<Record<string, number | undefined>> = {
    '`shared_files.max_body_size`': config.sharedFiles.maxBodyBytes,
    '`limits.max_uploads`': config.limits.maxUploads,
    '`general.max_connections`': config.general.maxConnections,
    '`remote_run.concurrency`': config.remoteRun.concurrency,
    '`remote_run.max_output`': config.remoteRun.maxOutputBytes,
    'runs under way': MAX_RUNS,
    'nodes in the list': MAX_NODE_COUNT,
    'policy servers above a node': MAX_CHAIN_LENGTH
  }
  const rows = tableRows(read('docs/limits.md'), '## The bounds that operators meet first')
  for (const [name, value] of Object.entries(numbers)) {
    const [, bound = ''] = rows.find(([what, , setting]) => what === name || setting === name) ?? []
    assert.equal(boundValue(bound), value, name)
  }
})

test('the configuration of docs/by-hand.md is a good one', () => {
  const [, mainConf = ''] = /cat > main\.conf <<'END'\n([\s\S]*?)\nEND\n/.exec(read('docs/by-hand.md')) ?? []
  assert.deepEqual(parseConfig(mainConf, '', '/tmp', () => '').notices, [])
})

test('the httpd lines of docs/beside-rudder.md are those that are shipped', () => {
  const shipped = read('deploy/httpd/treeline.conf')
  const [, lines = ''] = /```apache\n([\s\S]*?)```/.exec(read('docs/beside-rudder.md')) ?? []
  assert.match(lines, /shared-files/)
  // httpd's own configuration sends to `listen`, the shipped one to `proxy_listen`
  for (const line of lines.trim().split('\n')) assert.ok(shipped.includes(line.replace(':3030/', ':3031/')), line)
})

test('each page with rules for Apache httpd names the version that keeps X-Forwarded-For', () => {
  const pages = [...markdownFiles('docs'), 'deploy/httpd/treeline.conf'].filter(path =>
    /ProxyPass|mod_proxy/.test(read(path))
  )
  assert.ok(pages.length >= 3, pages.join())
  for (const page of pages) assert.match(read(page), /2\.4\.54/, page)
})

test('the shipped httpd opens single routes alone: the API answers under further prefixes', () => {
  const shipped = read('deploy/httpd/treeline.conf')
  const sections = [...shipped.matchAll(/<Location "([^"]+)">\n([\s\S]*?)<\/Location>/g)].map(([, path, rules]) => ({
    path,
    rules: rules?.trim()
  }))
  // sections are merged in their order: one that came later would close what was opened before
  assert.deepEqual(sections[0], { path: '/rudder/relay-api/', rules: 'Require all denied' })
  const remoteRun = sections.find(({ path }) => path === '/rudder/relay-api/remote-run/')
  assert.match(remoteRun?.rules ?? '', /^Require ip /)
  for (const { path = '' } of sections.slice(1)) assert.match(path, /^(?:\/rudder)?\/relay-api\/[a-z]+-[a-z]+\/$/)
})

/** What the program can say, without its comments; a text that goes on in the next line is one. */
function sourceTexts(): string {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => read(join('src', file)))
    .join('\n')
    .replace(/^\s*(?:\/\/|\/?\*).*$|\s\/\/\s.*$/gm, '')
    .replace(/['`]\s*\+\s*['`]/g, '')
    .replaceAll("\\'", "'")
}

/** Parts of a message that stand for values: `…`, names of settings, addresses, files and numbers; and what joins parts. */
const VALUES = /[…=:,;()]|(?<=^|[\s.])\S*[._\d~]\S*(?=\s|$)|\b[NM]\b|^(?:not allowed for|cannot read the)\b|\bat\b/

test('the messages in the tables of troubles are those of the program', () => {
  const said = sourceTexts()
  const troubles = 'docs/troubleshooting.md'
  const headings = [...read(troubles).matchAll(/^## .*$/gm)].map(([heading]) => [troubles, heading] as const)
  assert.ok(headings.length > 5)
  const tables = [
    ...headings,
    ['docs/services.md', '## When it fails'],
    ['docs/nodes-list.md', '## Refused'],
    ['docs/nodes-list.md', '## Skipped with a warning']
  ] as const
  for (const [page, heading] of tables) {
    const cells = tableRows(read(page), heading).map(([cell = '']) => cell)
    const messages = cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, message = '']) => message))
    assert.ok(messages.length > 3, `${page} ${heading}`)
    for (const message of messages) {
      const phrases = message.split(VALUES).map(phrase => phrase.trim())
      for (const phrase of phrases.filter(text => text.includes(' '))) {
        assert.ok(said.includes(phrase), `${page}: ${message}: no source file says ${JSON.stringify(phrase)}`)
      }
    }
  }
})
