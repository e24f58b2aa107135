// An origin that can be stopped as a whole: it listens with the shortest backlog and answers every request. Arguments: port.
// Stopped by SIGSTOP it accepts nothing, and the kernel answers for it until the backlog is full.
import { createServer } from 'node:net'

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
})
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1 }, () => process.send('listening'))
