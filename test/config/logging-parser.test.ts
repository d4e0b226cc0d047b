import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/config-parser.js'

function parse(logging: string | undefined) {
  const { logging: parsed, notices } = parseConfig('[general]\nnode_id = "root"', logging, '/', () => '')
  return { level: parsed.level, notices: notices.map(notice => notice.text) }
}

function filtered(filter: string) {
  return parse(`[general]\nlevel = "info"\nfilter = '${filter}'`)
}

test('the level is read in every spelling that existing files have', () => {
  const spellings = {
    fatal: 'fatal',
    error: 'error',
    warn: 'warn',
    warning: 'warn',
    info: 'info',
    trace: 'trace',
    critical: 'fatal'
  }
  for (const [written, level] of Object.entries(spellings)) {
    assert.deepEqual(parse(`[general]\nlevel = "${written}"`), { level, notices: [] })
  }
})

test('an empty file means the defaults, and so does no file, with a notice', () => {
  assert.deepEqual(parse(''), { level: 'info', notices: [] })
  assert.deepEqual(parse(undefined), { level: 'info', notices: ['logging.conf: there is none; the level is "info"'] })
})

test('"off" keeps only what ends the relay, and says so', () => {
  const { level, notices } = parse('[general]\nlevel = "off"')
  assert.equal(level, 'fatal')
  assert.match(notices[0] ?? '', /^logging\.conf: general\.level: "off" counts as "fatal"/)
})

test('a filter for the whole program sets the level', () => {
  assert.deepEqual(filtered(''), { level: 'info', notices: [] })
  assert.deepEqual(filtered('debug'), { level: 'debug', notices: [] })
  assert.deepEqual(filtered('relayd=debug'), { level: 'debug', notices: [] })
  assert.deepEqual(filtered('warn, rudder_relayd=TRACE'), { level: 'trace', notices: [] })
})

test('a filter for a part of the program is noticed, never dropped in silence', () => {
  const { level, notices } = filtered('[database{node=root,x=1}]=trace,hyper=debug,rubbish')
  assert.equal(level, 'info')
  assert.equal(notices.length, 3)
  assert.match(notices[0] ?? '', /general\.filter: "\[database\{node=root,x=1\}\]=trace" is not followed/)
})

test('the sections of older files are noticed as unknown', () => {
  const { notices } = parse('[general]\nlevel = "info"\n[filter]\nlevel = "debug"\ncomponents = ["database"]')
  assert.deepEqual(notices, ['logging.conf: filter: unknown key, ignored'])
})
