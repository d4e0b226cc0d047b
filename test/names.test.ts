import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFolder } from './support/source-files.js'

test('a doc comment begins with the thing, or with what it does', () => {
  const riddle =
    /\/\*\*[\s*]*(?:What|Whatever|Who|Whoever|Whose|Where|Which|Those|These|They|It|Of|By|As|One that|To be|How(?! (?:long|often|many|much|far|old)))\b[^\n]*/
  for (const folder of ['src', 'demo', 'bench', 'test/support']) {
    for (const { path, text } of readFolder(folder)) {
      assert.equal(riddle.exec(text)?.[0], undefined, `${path}: name the value, or begin with a verb`)
    }
  }
})

test('an exported name stands for one thing', () => {
  const declared = /^export (?:abstract )?(?:async )?(?:function\*?|class|interface|type|const) (\w+)/gm
  const files = new Map<string, string>()
  for (const { path, text } of readFolder('src')) {
    for (const [, name = ''] of text.matchAll(declared)) {
      const other = files.get(name) ?? path
      const isCommand = name === 'register' // each command has one
      assert.ok(other === path || isCommand, `${path} and ${other} both export ${name}`)
      files.set(name, path)
    }
  }
})
