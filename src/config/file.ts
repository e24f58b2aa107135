/** The YAML file: read, checked whole, with the line and column of everything that is wrong. */
import { readFile } from 'node:fs/promises'
import {
  type Document,
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
import { type Field, flagName } from './field.ts'
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
    const written = asWritten(field, values[name], pair.value, document)
    const inText = fileSetting(key, written.value, written.nodes, pair, at)
    const inYaml = fileSetting(key, values[name], null, pair, at)
    // The text first, as a flag has it; what only YAML can say (1e6) stands as YAML reads it.
    const outcome = field.kind.schema.safeParse(inText.value)
    const setting = outcome.success || !field.kind.schema.safeParse(inYaml.value).success ? inText : inYaml
    settings.set(key, setting)
    if (setting === inYaml) continue
    for (const issue of outcome.error?.issues ?? []) {
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
  const from = special?.fields[0]?.[1].from
  if (from === 'step') return `${name} stands in the list pipeline, as in "pipeline: [{${name}: …}]"`
  if (special !== undefined) return `${name} can be given on the command line only`
  const nearest = findNearest(
    name,
    options.map(({ key }) => flagName(key)),
  )
  return `unknown option ${JSON.stringify(name)}${nearest === null ? '' : `. Did you mean ${nearest}?`}`
}

/** A value as its words stand in the file, read as a flag reads them: `64KB`, `80,443`, one word where a list may stand. */
interface Written {
  readonly value: unknown
  /** Where each item of a list stands; one text may hold several. */
  readonly nodes: readonly (Node | null)[] | null
}

function asWritten(field: Field, value: unknown, node: Node | null, document: Document): Written {
  const { kind } = field
  const text = textOf(node, document)
  if (text !== null) return { value: kind.fromText(text), nodes: null }
  const list = isAlias(node) ? node.resolve(document) : node
  if (kind.separator === undefined || !isSeq(list) || !Array.isArray(value)) return { value, nodes: null }
  const items: unknown[] = []
  const nodes: (Node | null)[] = []
  for (const [i, item] of (list.items as (Node | null)[]).entries()) {
    const word = textOf(item, document)
    const parts = word === null ? [value[i] as unknown] : (kind.fromText(word) as unknown[])
    for (const part of parts) {
      items.push(part)
      nodes.push(item)
    }
  }
  return { value: items, nodes }
}

/** The text of a word or number, without quotes; null for what is empty, null or a collection. */
function textOf(node: Node | null, document: Document): string | null {
  const scalar = isAlias(node) ? node.resolve(document) : node
  if (!isScalar(scalar) || scalar.value === null || scalar.value === undefined) return null
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? String(scalar.value))
}

function fileSetting(
  key: string,
  value: unknown,
  nodes: Written['nodes'],
  pair: Pair<Node, Node | null>,
  at: (offset: number) => string,
): Setting {
  const keyAt = startOf(pair.key, 0)
  // A value that is not there has no place of its own.
  const valueAt = value === null ? keyAt : startOf(pair.value, keyAt)
  const name = (index?: number): string => {
    const items = nodes ?? (isSeq(pair.value) ? (pair.value.items as Node[]) : [])
    return `${at(startOf((index === undefined ? null : items[index]) ?? null, valueAt))}: ${flagName(key)}`
  }
  return { key, value, from: 'file', name }
}
