/** The YAML file: read, checked whole, with the line and column of everything that is wrong. */
import { readFile } from 'node:fs/promises'
import {
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from 'yaml'
import { describeSystemError } from '../base/errors.ts'
import { flagName } from './field.ts'
import { findNearest } from './nearest.ts'
import { allOptions, fileFields } from './options.ts'
import { describeIssue, type Fault, type Setting } from './setting.ts'

export interface ConfigFile {
  readonly settings: ReadonlyMap<string, Setting>
  readonly faults: readonly Fault[]
  /** False when the options in it could not be told: no file, not YAML. */
  readonly isRead: boolean
}

/** One mistake in YAML often looks like several after it; the first ones say enough. */
const SYNTAX_FAULTS_SHOWN = 3

export async function readConfigFile(path: string): Promise<ConfigFile> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    return {
      settings: new Map(),
      faults: [{ kind: 'configuration', message: `--config ${path}: ${describeSystemError(error)}` }],
      isRead: false,
    }
  }
  return parseConfigFile(path, text)
}

/** @param path only for messages */
export function parseConfigFile(path: string, text: string): ConfigFile {
  const faults: Fault[] = []
  const settings = new Map<string, Setting>()
  const lines = new LineCounter()
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${path}:${line}:${col}`
  }
  const fault = (offset: number, message: string): void => {
    faults.push({ kind: 'configuration', message: `${at(offset)}: ${message}` })
  }

  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  for (const problem of [...document.errors, ...document.warnings].slice(0, SYNTAX_FAULTS_SHOWN)) {
    fault(problem.pos[0], `not valid YAML: ${problem.message}`)
  }
  if (faults.length > 0) return { settings, faults, isRead: false }
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return { settings, faults, isRead: true }
  if (!isMap(root)) {
    fault(root.range[0], 'the file must be a mapping of options, such as "workers: 2"')
    return { settings, faults, isRead: false }
  }
  visit(document, {
    Pair(_, { key }) {
      if (isCollection(key) || isAlias(key))
        fault(startOf(key, 0), 'a key must be the name of an option, not a list, a mapping or an alias')
    },
  })
  if (faults.length > 0) return { settings, faults, isRead: false }
  let values: Record<string, unknown>
  try {
    values = document.toJS() as Record<string, unknown>
  } catch (error) {
    // Aliases that multiply beyond reason are only noticed here.
    fault(0, `not valid YAML: ${(error as Error).message}`)
    return { settings, faults, isRead: false }
  }

  const fields = fileFields()
  const keys = new Map(Object.keys(fields).map((key) => [flagName(key), key]))
  // The file is checked whole, whatever command reads it: an option of another command may be wrong too.
  for (const pair of root.items as Pair<Node, Node | null>[]) {
    const name = keyText(pair)
    const key = keys.get(name)
    if (key === undefined) {
      fault(startOf(pair.key, 0), unknownName(name))
      continue
    }
    const field = fields[key]!
    const setting = fileSetting(key, values[name], pair, at)
    settings.set(key, setting)
    for (const issue of field.kind.schema.safeParse(setting.value).error?.issues ?? []) {
      faults.push(describeIssue(setting, field, { ...issue, path: [key, ...issue.path] }))
    }
  }
  return { settings, faults, isRead: true }
}

function keyText(pair: Pair<unknown, unknown>): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
}

function startOf(node: Node | null, otherwise: number): number {
  return node?.range?.[0] ?? otherwise
}

function unknownName(name: string): string {
  const options = allOptions()
  const special = options.find(({ key }) => flagName(key) === name)
  if (special !== undefined) return `${name} can be given on the command line only`
  const nearest = findNearest(
    name,
    options.map(({ key }) => flagName(key)),
  )
  return `unknown option ${JSON.stringify(name)}${nearest === null ? '' : `. Did you mean ${nearest}?`}`
}

function fileSetting(
  key: string,
  value: unknown,
  pair: Pair<Node, Node | null>,
  at: (offset: number) => string,
): Setting {
  const keyAt = startOf(pair.key, 0)
  // A value that is not there has no place of its own.
  const valueAt = value === null ? keyAt : startOf(pair.value, keyAt)
  const name = (index?: number): string => {
    const item = index !== undefined && isSeq(pair.value) ? (pair.value.items[index] as Node | undefined) : undefined
    return `${at(startOf(item ?? null, valueAt))}: ${flagName(key)}`
  }
  return { key, value, from: 'file', name }
}
