/** docs/setup: what its pages tell a reader to type and to expect exists. What they do is checked by test/acceptance/setup-linux-tc.sh. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseArguments } from '../src/cli/arguments.ts'
import { COMMANDS, type CommandName, flagName } from '../src/config/field.ts'
import { allOptions, FIELDS } from '../src/config/options.ts'
import { resolveOptions } from '../src/config/resolve.ts'

const FOLDER = new URL('../docs/setup/', import.meta.url)
const PAGES = readdirSync(FOLDER).map((name) => ({ name, text: readFileSync(new URL(name, FOLDER), 'utf8') }))

const FENCED = /^```[^\n]*\n([\s\S]*?)^```/gm
const INDENTED = /^ {4}\S.*$/gm

test('is there, and in the table of the start page', () => {
  const listed = new Set(
    [...PAGES.find(({ name }) => name === 'README.md')!.text.matchAll(/^\|.*\[([\w-]+\.md)\]/gm)].map(
      ([, name]) => name,
    ),
  )
  expect(PAGES.length).toBe(8)
  expect(PAGES.map(({ name }) => name).filter((name) => name !== 'README.md' && !listed.has(name))).toEqual([])
})

test('every command line of mirrorshard is one that it accepts', async () => {
  const ours = PAGES.flatMap(({ name, text }) =>
    commandsIn([...blocksIn(text), ...spansIn(text)]).flatMap((words) => {
      const at = words.findIndex((word) => word === 'mirrorshard' || word === 'dist/src/main.js')
      const isOurs = at >= 0 && COMMANDS.includes(words[at + 1] as CommandName)
      return isOurs && words.length > at + 2 ? [{ name, words: words.slice(at + 1) }] : []
    }),
  )
  expect(ours.length).toBeGreaterThan(12)
  for (const { name, words } of ours) {
    const [command, ...rest] = words as [CommandName, ...string[]]
    const refused = await resolveOptions(command, parseArguments(command, FIELDS[command], rest), {}).then(
      () => null,
      (error: Error) => error.message,
    )
    expect({ name, words, refused }).toEqual({ name, words, refused: null })
  }
})

test('every option in running text is ours, or one that a block of the page gives to another program', () => {
  const ours = new Set(allOptions().map(({ key }) => `--${flagName(key)}`))
  const spans = PAGES.flatMap(({ name, text }) => {
    const others = new Set(commandsIn(blocksIn(text)).flat())
    const speaksOfOptions = (span: string) => span.startsWith('--') || span.startsWith('mirrorshard ')
    return spansIn(text)
      .filter(speaksOfOptions)
      .flatMap((span) =>
        (span.match(/(?<![\w-])--[a-z][a-z0-9-]*/g) ?? []).map((option) => ({
          option,
          name,
          isOthers: others.has(option),
        })),
      )
  })
  expect(spans.length).toBeGreaterThan(50)
  expect(spans.filter(({ option, isOthers }) => !isOthers && !ours.has(option))).toEqual([])
})

test('every page of a cloud, a switch or another program says against what it was checked, and when', () => {
  const checked = /^## Checked against\n\nOn 20\d\d-\d\d-\d\d, [\s\S]*https:[\s\S]*Not checked: /m
  const exempt = ['README.md', 'linux-tc.md']
  expect(
    PAGES.filter(({ name, text }) => !exempt.includes(name) && !checked.test(text)).map(({ name }) => name),
  ).toEqual([])
})

test('the page that is run has blocks to run, and no command of the page stands outside them', () => {
  const { text } = PAGES.find(({ name }) => name === 'linux-tc.md')!
  expect([...text.matchAll(/^```sh$/gm)].length).toBeGreaterThan(8)
  expect(text.match(INDENTED)).toBeNull()
})

/** Lines of shell as words: continued lines are one command; quotes, comments, redirections and what follows && are gone. */
function commandsIn(texts: readonly string[]): string[][] {
  return texts
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.replace(/\s+#.*|\s+2?>.*|\s+&$|\s+&&.*/g, ''))
    .map((line) => (line.match(/'[^']*'|"[^"]*"|[^\s'"]+/g) ?? []).map((word) => word.replace(/^['"]|['"]$/g, '')))
}

/** The code blocks of a page, fenced or indented. */
function blocksIn(text: string): string[] {
  const fenced = [...text.matchAll(FENCED)].map(([, block]) => block!)
  return [...fenced, ...(text.replace(FENCED, '').match(INDENTED) ?? [])]
}

/** What stands in code spans. */
function spansIn(text: string): string[] {
  return [...text.replace(FENCED, '').matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!)
}
