/**
 * Ways to make two readers of one stream see different requests, as data: what is publicly known as CL.TE, TE.TE, CL.0,
 * TERM.EXT, and what RFC 9112 and RFC 9110 leave open or forbid. Some only look like a trick and must be sent.
 *
 * Each stands for a connection of its own. `bytes` are latin-1, one character per byte; NEXT follows them. `reads` is everything we
 * make of both: `POST /a [5]` a request that is passed on with a body of five bytes, `-reason` one that is dropped. A list that does
 * not end with NEXT says that nothing after it was taken. `/smuggled` is what an attacker would hide.
 */

import { escaped } from './escaped.ts'

export interface Shape {
  readonly family: string
  readonly name: string
  readonly bytes: string
  readonly reads: readonly string[]
  /** For those that are passed on, and where a reader of the table would ask. */
  readonly why?: string
}

export const NEXT = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n'
const NEXT_READ = 'GET /next'
/** What an attacker would hide. */
export const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
/** The same as one chunk, whole. */
const SMUGGLED_CHUNKS = `23\r\n${SMUGGLED}\r\n0\r\n\r\n`
/** A last chunk, and then what a reader of lengths takes for body. */
const HIDDEN_BEHIND_CHUNKS = `0\r\n\r\n${SMUGGLED}`
const LENGTH = `Content-Length: ${HIDDEN_BEHIND_CHUNKS.length}\r\n`

type Row = readonly [name: string, bytes: string, reads: readonly string[], why?: string]

const post = (fields: string, body = '', version = 'HTTP/1.1') =>
  `POST /a ${version}\r\nHost: a\r\n${fields}\r\n${body}`
const get = (fields: string, body = '') => `GET /a HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body)

/** Refused, and nothing after it is taken. */
const refused = (reason: string, name: string, bytes: string, why?: string): Row =>
  why === undefined ? [name, bytes, [`-${reason}`]] : [name, bytes, [`-${reason}`], why]
/** Dropped, but its length is certain: what follows is read. */
const dropped = (reason: string, name: string, bytes: string, why: string): Row => [
  name,
  bytes,
  [`-${reason}`, NEXT_READ],
  why,
]
const taken = (request: string, name: string, bytes: string, why: string): Row => [
  name,
  bytes,
  [request, NEXT_READ],
  why,
]

/** A transfer coding that some readers take for chunked and others do not, with a length for those. */
const coding = (name: string, line: string, reason = 'transferCoding'): Row =>
  refused(reason, name, post(`${LENGTH}${line}\r\n`, HIDDEN_BEHIND_CHUNKS))

const FAMILIES: readonly (readonly [string, readonly Row[]])[] = [
  [
    'Length and chunks together',
    [
      refused(
        'lengthAndChunked',
        'CL.TE: the front end uses the length, the back end the chunks',
        post(`${LENGTH}Transfer-Encoding: chunked\r\n`, HIDDEN_BEHIND_CHUNKS),
      ),
      refused(
        'lengthAndChunked',
        'TE.CL: the front end uses the chunks, the back end the length',
        post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `${SMUGGLED_CHUNKS}`),
      ),
      refused(
        'lengthAndChunked',
        'the coding first',
        post(`Transfer-Encoding: chunked\r\n${LENGTH}`, HIDDEN_BEHIND_CHUNKS),
      ),
      refused(
        'lengthAndChunked',
        'a length of 0 beside the coding',
        post('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', `${SMUGGLED_CHUNKS}`),
      ),
      refused(
        'lengthAndChunked',
        'both agree, which no reader can know beforehand',
        post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      ),
      refused('lengthAndChunked', 'both in GET', get(`${LENGTH}Transfer-Encoding: chunked\r\n`, HIDDEN_BEHIND_CHUNKS)),
      refused(
        'lengthAndChunked',
        'both in HTTP/1.0',
        post(`${LENGTH}Transfer-Encoding: chunked\r\n`, HIDDEN_BEHIND_CHUNKS, 'HTTP/1.0'),
      ),
      refused(
        'transferCoding',
        'chunks in HTTP/1.0, which does not have them',
        post('Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n', HIDDEN_BEHIND_CHUNKS, 'HTTP/1.0'),
      ),
      [
        'a correct request, then CL.TE',
        `${get('')}${post(`${LENGTH}Transfer-Encoding: chunked\r\n`, HIDDEN_BEHIND_CHUNKS)}`,
        ['GET /a', '-lengthAndChunked'],
      ],
    ],
  ],
  [
    'A transfer coding that not every reader recognises (TE.TE)',
    [
      coding('a space before the colon', 'Transfer-Encoding : chunked', 'headerName'),
      coding('a TAB before the colon', 'Transfer-Encoding\t: chunked', 'headerName'),
      coding('a space inside the name', 'Transfer Encoding: chunked', 'headerName'),
      coding('NUL in the name', 'Transfer-Encoding\0: chunked', 'nul'),
      coding('a control character in the name', 'Transfer-Encoding\x0b: chunked', 'headerName'),
      coding('obs-text in the name', 'Transfer-Encoding\xa0: chunked', 'headerName'),
      coding('a quote around the name', '"Transfer-Encoding": chunked', 'headerName'),
      coding('a space before the name', ' Transfer-Encoding: chunked', 'obsFold'),
      coding('a bare CR before the name', 'X: x\rTransfer-Encoding: chunked', 'bareCr'),
      coding('a bare LF before the name', 'X: x\nTransfer-Encoding: chunked', 'bareLf'),
      coding('the value on a folded line', 'Transfer-Encoding:\r\n chunked', 'transferCoding'),
      coding('chunked continued on a folded line', 'Transfer-Encoding: chunked\r\n , identity', 'obsFold'),
      coding('a vertical tab before chunked', 'Transfer-Encoding: \x0bchunked'),
      coding('a form feed after chunked', 'Transfer-Encoding: chunked\x0c'),
      coding('a no-break space before chunked', 'Transfer-Encoding: \xa0chunked'),
      coding('NUL after chunked', 'Transfer-Encoding: chunked\0', 'nul'),
      coding('a bare CR after chunked', 'Transfer-Encoding: chunked\r\r', 'bareCr'),
      coding('xchunked', 'Transfer-Encoding: xchunked'),
      coding('chunkedx', 'Transfer-Encoding: chunkedx'),
      coding('chunked, identity', 'Transfer-Encoding: chunked, identity'),
      coding('identity, chunked', 'Transfer-Encoding: identity, chunked'),
      coding('gzip, chunked', 'Transfer-Encoding: gzip, chunked'),
      coding('chunked, chunked', 'Transfer-Encoding: chunked, chunked'),
      coding('a trailing empty list member', 'Transfer-Encoding: chunked,'),
      coding('a leading empty list member', 'Transfer-Encoding: ,chunked'),
      coding('a parameter', 'Transfer-Encoding: chunked;q=1'),
      coding('in quotes', 'Transfer-Encoding: "chunked"'),
      coding('in apostrophes', "Transfer-Encoding: 'chunked'"),
      coding('identity', 'Transfer-Encoding: identity'),
      coding('an unknown coding', 'Transfer-Encoding: cow'),
      coding('none', 'Transfer-Encoding:'),
      coding('obs-text for a letter', 'Transfer-Encoding: chun\xebed'),
      coding('repeated', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'),
      coding('repeated, the second unknown', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow'),
      coding('repeated, the first unknown', 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked'),
      coding('repeated, one of them identity', 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked'),
      refused(
        'transferCoding',
        'identity without a length: until the connection ends, or nothing',
        post('Transfer-Encoding: identity\r\n', SMUGGLED),
      ),
      taken(
        'POST /a',
        'any case, TAB and spaces around',
        post('tRANSFER-eNCODING:\t CHUNKED \t\r\n', '0\r\n\r\n'),
        'coding names compare without case; OWS is SP and HTAB',
      ),
      [
        'Transfer_Encoding, an underscore',
        post(`Transfer_Encoding: chunked\r\nContent-Length: 5\r\n`, '0\r\n\r\n'),
        ['POST /a [5]', NEXT_READ],
        'another header by RFC 9110; what folds `_` into `-` (CGI variables) comes after the framing',
      ],
    ],
  ],
  [
    'Lengths',
    [
      ...(
        [
          ['a plus sign', '+5'],
          ['a minus sign', '-5'],
          ['minus zero', '-0'],
          ['hexadecimal', '0x5'],
          ['a fraction', '5.0'],
          ['an exponent', '5e0'],
          ['a list of equal ones', '5, 5'],
          ['a list of different ones', '5, 0'],
          ['a space inside', '1 2'],
          ['a leading vertical tab', '\x0b5'],
          ['a trailing form feed', '5\x0c'],
          ['a trailing no-break space', '5\xa0'],
          ['trailing junk', '5abcd'],
          ['a trailing semicolon', '5;'],
          ['an underscore between digits', '1_0'],
          ['none', ''],
          ['quotes', '"5"'],
          ['superscript two in latin-1', '\xb2'],
          ['2^64 + 5, which is 5 where it overflows', '18446744073709551621'],
          ['2^53 + 1, which a double cannot hold', '9007199254740993'],
          ['200 digits', '1'.repeat(200)],
        ] as const
      ).map(([name, value]) =>
        refused('contentLength', `${name}: \`${shortValue(value)}\``, post(`Content-Length: ${value}\r\n`, 'abcde')),
      ),
      refused('nul', 'NUL after the digits', post('Content-Length: 5\0\r\n', 'abcde')),
      refused(
        'contentLength',
        'two that differ',
        post(`Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
      ),
      refused(
        'contentLength',
        'the third differs',
        post(`Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6\r\n`, 'abcdef'),
      ),
      dropped(
        'repeatedLength',
        'two that are equal',
        post('Content-Length: 5\r\nContent-Length: 5\r\n', 'abcde'),
        'all who read it agree where it ends; some refuse it',
      ),
      dropped(
        'repeatedLength',
        'two that are equal but for zeros',
        post('Content-Length: 5\r\ncontent-length: 005\r\n', 'abcde'),
        'the same',
      ),
      refused('headerName', 'a space before the colon', post('Content-Length : 5\r\n', 'abcde')),
      refused('obsFold', 'the digits on a folded line', post('X: x\r\nContent-Length: 1\r\n 2\r\n', 'abcde')),
      refused('contentLength', 'all digits on the folded line', post('Content-Length:\r\n 5\r\n', 'abcde')),
      taken(
        'POST /a [5]',
        'spaces around',
        post('Content-Length: \t 5 \t\r\n', 'abcde'),
        'optional whitespace is not part of the value',
      ),
      taken(
        'POST /a [10]',
        'leading zeros',
        post('Content-Length: 0010\r\n', 'abcde12345'),
        'the grammar is 1*DIGIT; no server reads them as octal',
      ),
      taken(
        'POST /a [5]',
        'HTTP/1.0',
        post('Content-Length: 5\r\nConnection: keep-alive\r\n', 'abcde', 'HTTP/1.0'),
        'HTTP/1.0 has lengths too',
      ),
      [
        'Content_Length, an underscore',
        post(`Content_Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
        ['POST /a', 'GET /smuggled', NEXT_READ],
        'another header: the request has no body',
      ],
    ],
  ],
  [
    'Bodies where some expect none (CL.0, 0.CL)',
    [
      [
        'CL.0: a POST whose body looks like a request',
        post(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'a body is a body, whatever it holds',
      ],
      [
        'GET with a body that looks like a request',
        get(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
        [`GET /a [${SMUGGLED.length}]`, NEXT_READ],
        'the method says nothing about framing (RFC 9112 section 6)',
      ],
      [
        'GET with chunks that look like a request',
        get('Transfer-Encoding: chunked\r\n', `${SMUGGLED_CHUNKS}`),
        [`GET /a [${SMUGGLED.length}]`, NEXT_READ],
        'the same; it is sent with a Content-Length',
      ],
      [
        'HEAD with a body',
        `HEAD /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
        [`HEAD /a [${SMUGGLED.length}]`, NEXT_READ],
        'the same',
      ],
      refused(
        'obsFold',
        '0.CL: a length hidden by a space in the first header line',
        `GET /a HTTP/1.1\r\n Content-Length: ${SMUGGLED.length}\r\nHost: a\r\n\r\n${SMUGGLED}`,
      ),
      refused(
        'obsFold',
        '0.CL: a length in a folded value',
        get(`X: x\r\n Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
      ),
      [
        'no length, then a request',
        post('', SMUGGLED),
        ['POST /a', 'GET /smuggled', NEXT_READ],
        'a request without framing headers has no body (RFC 9112 section 6.3)',
      ],
      [
        'no length, then bytes that are no request',
        post('', 'abcde'),
        ['POST /a', 'abcdeGET /next'],
        'any token is a method, so the bytes begin one; the origin may refuse it',
      ],
    ],
  ],
  [
    'Expect, Connection, CONNECT, Upgrade',
    [
      [
        'Expect: 100-continue, and the body sent at once',
        post(`Content-Length: ${SMUGGLED.length}\r\nExpect: 100-continue\r\n`, SMUGGLED),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'Expect changes when a body is sent, not where it ends; replay sends none',
      ],
      [
        'an unknown Expect',
        post(`Content-Length: ${SMUGGLED.length}\r\nExpect: y 100-continue\r\n`, SMUGGLED),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'the same',
      ],
      [
        'Expect in GET, no body',
        get('Expect: 100-continue\r\n', SMUGGLED),
        ['GET /a', 'GET /smuggled', NEXT_READ],
        'the same',
      ],
      [
        'Connection names Content-Length',
        post(`Content-Length: ${SMUGGLED.length}\r\nConnection: content-length\r\n`, SMUGGLED),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'a length frames this message; Connection cannot remove it (RFC 9110 section 7.6.1)',
      ],
      [
        'Connection names Transfer-Encoding',
        post('Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n', `${SMUGGLED_CHUNKS}`),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'the same',
      ],
      [
        'a request after Connection: close',
        get('Connection: close\r\n', SMUGGLED),
        ['GET /a'],
        'no server reads a request after it (RFC 9112 section 9.6)',
      ],
      refused(
        'connectBody',
        'CONNECT with a length',
        `CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
      ),
      refused(
        'connectBody',
        'CONNECT with chunks',
        `CONNECT a:443 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED_CHUNKS}`,
      ),
      [
        'CONNECT that the server refused',
        'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
        ['CONNECT a:443', NEXT_READ],
        'what follows is read only if the response refuses it; never sent itself (`connect`)',
      ],
      [
        'Upgrade: h2c that the server refused, with a body',
        post(
          `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: ${SMUGGLED.length}\r\n`,
          SMUGGLED,
        ),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'the body comes before the switch (RFC 9110 section 7.8); replay sends no Upgrade',
      ],
      [
        'Upgrade: h2c that the server refused, with chunks',
        post('Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n', `${SMUGGLED_CHUNKS}`),
        [`POST /a [${SMUGGLED.length}]`, NEXT_READ],
        'the same; Java’s client does this. http-parser-js forgets the chunks, and then refuses them',
      ],
      [
        'Upgrade: websocket with a wrong version, which a proxy may take for a tunnel and the server refuses',
        get('Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1337\r\n', SMUGGLED),
        ['GET /a', 'GET /smuggled', NEXT_READ],
        'what follows is read only if the response refuses the switch; never sent itself (`upgrade`)',
      ],
    ],
  ],
  [
    'Line ends, and lines that are no header',
    [
      refused('bareLf', 'LF alone after the request line', `GET /a HTTP/1.1\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('bareLf', 'LF alone after a header', get('X: x\nY: y\r\n', SMUGGLED)),
      refused('bareLf', 'LF alone as the empty line', `GET /a HTTP/1.1\r\nHost: a\r\n\n${SMUGGLED}`),
      refused('bareLf', 'LF alone everywhere', `GET /a HTTP/1.1\nHost: a\n\n${SMUGGLED}`),
      refused('bareCr', 'CR alone inside a value', get(`X: x\rContent-Length: ${SMUGGLED.length}\r\n`, SMUGGLED)),
      refused('bareCr', 'CR alone as the empty line', `GET /a HTTP/1.1\r\nHost: a\r\n\r${SMUGGLED}`),
      refused('bareCr', 'CR CR LF', get('X: x\r\r\n', SMUGGLED)),
      refused('bareCr', 'CR alone after the request line', `GET /a HTTP/1.1\rHost: a\r\n\r\n${SMUGGLED}`),
      refused('nul', 'NUL in a value', get('X: x\0y\r\n', SMUGGLED)),
      refused('nul', 'NUL in a name', get('X\0Y: x\r\n', SMUGGLED)),
      refused('nul', 'NUL before a line', get('\0X: x\r\n', SMUGGLED)),
      refused('obsFold', 'a folded value', get('X: x\r\n y\r\n', SMUGGLED)),
      refused('obsFold', 'folded with TAB', get('X: x\r\n\ty\r\n', SMUGGLED)),
      refused('obsFold', 'a line of spaces', get('X: x\r\n  \r\n', SMUGGLED)),
      refused('obsFold', 'a space before the first header', `GET /a HTTP/1.1\r\n Host: a\r\n\r\n${SMUGGLED}`),
      refused('headerName', 'a space before the colon', get('X : x\r\n', SMUGGLED)),
      refused('headerName', 'no colon', get('GET /smuggled HTTP/1.1\r\n', SMUGGLED)),
      refused('headerName', 'no name', get(': x\r\n', SMUGGLED)),
      refused('headerName', 'a delimiter in a name', get('X(Y): x\r\n', SMUGGLED)),
      refused('headerName', 'obs-text in a name', get('X\xe4: x\r\n', SMUGGLED)),
      refused('headerName', 'a control character in a name', get('X\x01: x\r\n', SMUGGLED)),
      taken('GET /a', 'all characters of a token in a name', get("!#$%&'*+-.^_`|~0: x\r\n"), 'legal, if rare'),
      taken('GET /a', 'obs-text in a value', get('X: caf\xe9 \x85\xff\r\n'), 'kept as captured'),
      taken(
        'GET /a',
        'control characters in a value',
        get('X: a\x01b\x0bc\x1cd\x7fe\r\n'),
        'RFC 9110 section 5.5 lets a recipient keep them; strict readers refuse the whole request',
      ),
      taken('GET /a', 'empty lines before it', `\r\n\r\n${get('')}`, 'RFC 9112 section 2.2'),
      ['LF alone before a request', `${get('')}\n${NEXT}`, ['GET /a', '-requestLine']],
      ['CR alone before a request', `${get('')}\r${NEXT}`, ['GET /a', '-bareCr']],
    ],
  ],
  [
    'Chunks',
    [
      ...(
        [
          ['in C notation', '0x5'],
          ['a plus sign', '+5'],
          ['a minus sign', '-5'],
          ['a leading space', ' 5'],
          ['a trailing space', '5 '],
          ['a trailing TAB', '5\t'],
          ['an underscore', '0_5'],
          ['a fraction', '5.0'],
          ['none', ''],
          ['only an extension', ';a'],
          ['no hexadecimal digit', 'g'],
          ['17 digits: 2^64 + 5, which is 5 where it overflows', '10000000000000005'],
          ['beyond 2^53', '20000000000001'],
          ['16 digits of f: -1 where it is signed', 'ffffffffffffffff'],
          ['a trailing NUL', '5\0'],
          ['a trailing comma', '5,5'],
          ['a trailing no-break space', '5\xa0'],
        ] as const
      ).map(([name, size]) =>
        refused('chunkSize', `size ${name}: \`${shortValue(size)}\``, chunked(`${size}\r\nabcde\r\n0\r\n\r\n`)),
      ),
      refused('chunkSize', 'LF alone after a size', chunked('5\nabcde\r\n0\r\n\r\n')),
      refused('chunkSize', 'CR alone after a size', chunked('5\rabcde\r\n0\r\n\r\n')),
      refused('chunkSize', 'CR and another character after a size', chunked('5\rX\nabcde\r\n0\r\n\r\n')),
      refused(
        'chunkSize',
        'TERM.EXT: LF alone ends an extension for some, and is part of it for others',
        chunked(`5;\nabcde\r\n28\r\n${HIDDEN_BEHIND_CHUNKS}\r\n0\r\n\r\n`),
      ),
      refused('chunkSize', 'EXT.TERM: CR alone in an extension', chunked(`5;a\rb\r\nabcde\r\n0\r\n\r\n${SMUGGLED}`)),
      refused('chunkSize', 'LF alone in a quoted extension', chunked(`5;a="\n"\r\nabcde\r\n0\r\n\r\n`)),
      refused('chunkSize', 'CRLF in a quoted extension', chunked(`5;a="\r\nabcde\r\n0\r\n\r\n"\r\nabcde\r\n0\r\n\r\n`)),
      refused('chunkSize', 'NUL in an extension', chunked('5;a\0\r\nabcde\r\n0\r\n\r\n')),
      refused('chunkSize', 'an extension of 20,000 bytes', chunked(`5;${'a'.repeat(20_000)}\r\nabcde\r\n0\r\n\r\n`)),
      refused('chunkEnd', 'TERM.SPILL: two other bytes for the CRLF after the data', chunked('5\r\nabcdeXX0\r\n\r\n')),
      refused('chunkEnd', 'one byte too many', chunked('5\r\nabcdef\r\n0\r\n\r\n')),
      refused('chunkEnd', 'no CRLF after the data', chunked('5\r\nabcde0\r\n\r\n')),
      refused('chunkEnd', 'LF alone after the data', chunked('5\r\nabcde\n0\r\n\r\n')),
      refused('chunkEnd', 'CR alone after the data', chunked('5\r\nabcde\r0\r\n\r\n')),
      refused('trailer', 'LF alone after the last chunk', chunked(`0\r\n\n${SMUGGLED}`)),
      refused('trailer', 'CR alone after the last chunk', chunked(`0\r\n\rX${SMUGGLED}`)),
      refused('trailer', 'a request as trailer', chunked(`0\r\n${SMUGGLED}`)),
      refused('trailer', 'LF alone after a trailer line', chunked(`0\r\nX: x\n\r\n${SMUGGLED}`)),
      refused('trailer', 'a folded trailer line', chunked(`0\r\nX: x\r\n y\r\n\r\n${SMUGGLED}`)),
      refused('trailer', 'a space before the colon of a trailer line', chunked(`0\r\nX : x\r\n\r\n${SMUGGLED}`)),
      refused('trailer', 'NUL in a trailer line', chunked(`0\r\nX: \0\r\n\r\n${SMUGGLED}`)),
      [
        'a trailer that states a length',
        chunked(`0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`),
        ['POST /a', 'GET /smuggled', NEXT_READ],
        'a trailer frames nothing (RFC 9110 section 6.5.1), and replay sends no trailers',
      ],
      [
        'a trailer that states a coding',
        chunked(`0\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n${SMUGGLED}`),
        ['POST /a', 'GET /smuggled', NEXT_READ],
        'the same',
      ],
      taken(
        'POST /a [10]',
        'leading zeros, either case',
        chunked('000000000000000000000a\r\nabcdefghij\r\n0000\r\n\r\n'),
        'the grammar is 1*HEXDIG',
      ),
      taken(
        'POST /a [5]',
        'extensions, quoted ones with what looks like an end',
        chunked('5;a;b=c;d="0;\\"\\\\e"\r\nabcde\r\n0;f="g"\r\n\r\n'),
        'no line ends inside a quoted string',
      ),
      [
        'data that looks like chunks and a request',
        chunked(`28\r\n${HIDDEN_BEHIND_CHUNKS}\r\n0\r\n\r\n`),
        [`POST /a [${HIDDEN_BEHIND_CHUNKS.length}]`, NEXT_READ],
        'data is counted, not read',
      ],
    ],
  ],
  [
    'Request lines and versions',
    [
      refused('requestLine', 'HTTP/0.9', `GET /a\r\n${SMUGGLED}`),
      refused('version', 'HTTP/2.0', `GET /a HTTP/2.0\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('version', 'HTTP/1.2', `GET /a HTTP/1.2\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('version', 'HTTP/0.9 spelled out', `GET /a HTTP/0.9\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'HTTP/1.10', `GET /a HTTP/1.10\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('version', 'HTTP/01.1', `GET /a HTTP/01.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'HTTP/1', `GET /a HTTP/1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'the version in lower case', `GET /a http/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'another protocol', `GET /a ICE/1.0\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'no target', `GET HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'an empty target', `GET  HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      [
        'a delimiter in the method, after a request',
        `${get('')}GET( /b HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`,
        ['GET /a', '-requestLine'],
      ],
      refused('nul', 'NUL in the target', `GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('bareCr', 'CR alone in the target', `GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      [
        'a space before the method, first on its connection',
        ` ${get('')}${SMUGGLED}`,
        [],
        'not taken for HTTP: counted as another protocol',
      ],
      ['a space before the method, after a request', `${get('')} ${SMUGGLED}`, ['GET /a', '-requestLine']],
      dropped(
        'requestLine',
        'two spaces after the method',
        `GET  /a HTTP/1.1\r\nHost: a\r\n\r\n`,
        'where the line ends is certain, its target is not',
      ),
      dropped(
        'requestLine',
        'a TAB for a space',
        `GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n`.replace('\t', ' \t'),
        'the same',
      ),
      dropped('requestLine', 'a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 'the same'),
      refused('requestLine', 'a space after the version', `GET /a HTTP/1.1 \r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused('requestLine', 'two versions', `GET /a HTTP/1.0 HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`),
      refused(
        'requestLine',
        'two versions and wide gaps, and chunks, which only one of the versions has',
        `POST  /a HTTP/1.0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED_CHUNKS}`,
      ),
      taken('get /a', 'a lower-case method', 'get /a HTTP/1.1\r\nHost: a\r\n\r\n', 'another method: case counts'),
      taken("!#$%&'*+-.^_`|~0 /a", 'any token as method', "!#$%&'*+-.^_`|~0 /a HTTP/1.1\r\nHost: a\r\n\r\n", 'legal'),
    ],
  ],
  [
    'Targets and Host',
    [
      taken(
        'GET http://b/c',
        'absolute-form, another Host',
        'GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n',
        'sent as `/c` to the origin of `--to`: neither name decides the destination',
      ),
      taken(
        'GET http://u:p@b/c',
        'userinfo',
        'GET http://u:p@b/c HTTP/1.1\r\nHost: a\r\n\r\n',
        'the same; the userinfo is not sent',
      ),
      taken(
        'GET http://a@b@c/d',
        'two @',
        'GET http://a@b@c/d HTTP/1.1\r\nHost: a\r\n\r\n',
        'framing is certain, the host is not: never sent (`unsendable`)',
      ),
      taken(
        'GET http://b\\c',
        'a backslash for the slash',
        'GET http://b\\c HTTP/1.1\r\nHost: a\r\n\r\n',
        'the same (`unsendable`)',
      ),
      taken('GET http:///c', 'an empty host', 'GET http:///c HTTP/1.1\r\nHost: a\r\n\r\n', 'the same (`unsendable`)'),
      taken('GET ftp://b/c', 'another scheme', 'GET ftp://b/c HTTP/1.1\r\nHost: a\r\n\r\n', 'the same (`unsendable`)'),
      taken(
        'GET b:80',
        'authority-form without CONNECT',
        'GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n',
        'the same (`unsendable`)',
      ),
      taken('GET @b/c', 'a leading @', 'GET @b/c HTTP/1.1\r\nHost: a\r\n\r\n', 'the same (`unsendable`)'),
      taken('GET //b/c', 'two leading slashes', 'GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n', 'a path that begins with //'),
      taken('OPTIONS *', 'asterisk-form', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 'legal'),
      taken(
        'GET /\xe4"<>\\^`{|}#f',
        'characters that no URI may hold',
        'GET /\xe4"<>\\^`{|}#f HTTP/1.1\r\nHost: a\r\n\r\n',
        'sent as captured',
      ),
      taken('GET /a', 'no Host', 'GET /a HTTP/1.1\r\n\r\n', 'it says nothing about framing; replay adds one'),
      taken('GET /a', 'two Hosts', 'GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'one is sent: the origin’s'),
      taken('GET /a', 'an invalid Host', 'GET /a HTTP/1.1\r\nHost: a@b, c/d\r\n\r\n', 'the same'),
    ],
  ],
  [
    'Too much',
    [
      refused('headerTooLarge', 'a header of 70,000 bytes', get(`X: ${'x'.repeat(70_000)}\r\n`, SMUGGLED)),
      refused('headerTooLarge', 'a request line of 70,000 bytes', `GET /${'a'.repeat(70_000)} HTTP/1.1\r\n\r\n`),
      refused('tooManyHeaders', '600 headers', get('X: x\r\n'.repeat(600), SMUGGLED)),
      taken(
        `GET /${'a'.repeat(7_000)}`,
        'a target of 7,000 bytes',
        `GET /${'a'.repeat(7_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
        'long is not malformed',
      ),
    ],
  ],
]

function shortValue(value: string): string {
  return escaped(value.length > 40 ? `${value.slice(0, 10)}…` : value)
}

export const SHAPES: readonly Shape[] = FAMILIES.flatMap(([family, rows]) =>
  rows.map(([name, bytes, reads, why]) => ({
    family,
    name,
    bytes,
    reads,
    ...(why === undefined ? {} : { why }),
  })),
)

export type ShapeKind = 'refused' | 'dropped' | 'passed on'

/** What becomes of the shape itself, and of the stream after it. */
export function kindOf({ reads }: Shape): ShapeKind {
  const hasFault = reads.length === 0 || reads.some((read) => read.startsWith('-'))
  if (!hasFault) return 'passed on'
  return reads.at(-1)?.endsWith(NEXT_READ) === true ? 'dropped' : 'refused'
}
