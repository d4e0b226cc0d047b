import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { COMMANDS } from '../src/cli/commands.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGES = ['README.md', ...readdirSync(join(ROOT, 'docs')).map(name => `docs/${name}`)].filter(name =>
  name.endsWith('.md')
)
/** Not of the program's own parts: the help and the version. */
const ALWAYS = ['-h', '--help', '-V', '--version']

/** The whole command line, with every command loaded. */
async function wholeProgram(): Promise<Command> {
  const program = new Command('treeline')
  for (const { load } of COMMANDS) (await load()).register(program)
  return program
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves)
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut: part => {
      text += part
    }
  })
  command.outputHelp()
  return text
}

/** @returns what a line that begins with `treeline` names and the program does not have */
function unknownParts(program: Command, line: string): string[] {
  const words = line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []
  let command = program
  let next = 1
  for (; next < words.length; next += 1) {
    const found = command.commands.find(each => each.name() === words[next])
    if (found === undefined) break
    command = found
  }
  if (command === program && words[next]?.startsWith('-') !== true) return [words[next] ?? '']
  const own = command === program ? (program.commands.find(each => each.name() === 'serve') ?? program) : command
  const known = [...ALWAYS, ...own.options.flatMap(({ long, short }) => [long, short])]
  return words
    .slice(next)
    .map(word => /^\[?(--?[a-z][a-z-]*)/.exec(word)?.[1])
    .filter(word => word !== undefined)
    .filter(word => !known.includes(word))
}

/** Every line of a page that is a command of ours, without comments and what a pipe leads to; a line with `\` goes on. */
function commandLines(markdown: string): string[] {
  return [...markdown.replace(/\\\n\s*/g, '').matchAll(/^(?: {2,}|\$ )?(?:echo [^|\n]*\| )?(treeline [^\n]*)$/gm)]
    .map(([, line = '']) => line.replace(/\s+#.*$|\s[|>&].*$/, ''))
    .filter(line => /^treeline [a-z-]/.test(line))
}

test('the help of every command has one example, which the command understands', async () => {
  const program = await wholeProgram()
  for (const command of leaves(program)) {
    const [, examples = ''] = helpOf(command).split('\nExample:\n')
    const lines = examples.trim().split('\n')
    assert.equal(lines.length, 1, `${pathOf(command)}: ${examples}`)
    const line = (lines[0] ?? '').replace(/^echo \S+ \| /, '')
    assert.ok(line.startsWith(`${pathOf(command)} `) || line === pathOf(command), line)
    assert.deepEqual(unknownParts(program, line), [], line)
  }
})

test('the options of a connection are one group of the help, below the command’s own', async () => {
  for (const command of leaves(await wholeProgram())) {
    if (!command.options.some(({ long }) => long === '--server')) continue
    const group = command.options.filter(({ helpGroupHeading }) => helpGroupHeading === 'Connection options:')
    const names = group.map(({ long }) => long)
    const key = command.options.some(({ long }) => long === '--tls-key') ? '--tls-key' : '--key'
    assert.deepEqual(names, ['--config', '--server', '--token-file', '--ca', '--cert', key, '--pin'], pathOf(command))
  }
})

test('the commands and options in the pages exist, and docs/cli.md has every command', async () => {
  const program = await wholeProgram()
  let count = 0
  for (const page of PAGES) {
    for (const line of commandLines(readFileSync(join(ROOT, page), 'utf8'))) {
      assert.deepEqual(unknownParts(program, line), [], `${page}: ${line}`)
      count += 1
    }
  }
  assert.ok(count > 80, `${count}`)
  const page = commandLines(readFileSync(join(ROOT, 'docs/cli.md'), 'utf8'))
  for (const command of leaves(program)) {
    const path = pathOf(command)
    assert.ok(
      page.some(line => line === path || line.startsWith(`${path} `)),
      `docs/cli.md has no line with ${path}`
    )
  }
})
