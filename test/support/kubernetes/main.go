// A server of the Kubernetes API with one pod, as far as kubectl needs it for exec, logs, port-forward, get and watch. The
// framing of streams is that of k8s.io/streaming. Arguments: the file with the only token that is let in.
//
// The pod's program repeats its input on its output until the input ends, or until a line "exit"; its errors say so. Its log
// is what comes in at /log. Its port 80 repeats what it gets, until a line "close".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/net/websocket"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

const (
	podPath      = "/api/v1/namespaces/default/pods"
	execProtocol = "v5.channel.k8s.io"
	spdyProtocol = "v4.channel.k8s.io"
	portForward  = "portforward.k8s.io"
	tunnel       = "SPDY/3.1+portforward.k8s.io"
)

type object = map[string]any

func main() {
	tokenFile := os.Args[1]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("at %s\n", listener.Addr())
	feed := newFeed()
	mux := http.NewServeMux()
	mux.HandleFunc("/api", answer(object{"kind": "APIVersions", "versions": []string{"v1"}}))
	mux.HandleFunc("/apis", answer(object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}}))
	mux.HandleFunc("/api/v1", answer(object{
		"kind": "APIResourceList", "groupVersion": "v1",
		"resources": []any{object{
			"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod",
			"verbs": []string{"get", "list", "watch"}, "shortNames": []string{"po"},
		}},
	}))
	mux.HandleFunc(podPath, feed.list)
	mux.HandleFunc(podPath+"/web", answer(pod("web", 1)))
	mux.HandleFunc(podPath+"/web/exec", exec)
	mux.HandleFunc(podPath+"/web/log", feed.log)
	mux.HandleFunc(podPath+"/web/portforward", forwardPort)
	mux.HandleFunc("/feed", feed.take)
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := os.ReadFile(tokenFile)
		protocol := r.Header.Get("Upgrade")
		fmt.Printf("%s %s %s %s\n", r.Method, r.URL.Path, protocol, r.Header.Get("Sec-WebSocket-Protocol"))
		if r.Header.Get("Authorization") != "Bearer "+strings.TrimSpace(string(token)) {
			w.WriteHeader(http.StatusUnauthorized)
			write(w, object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401})
			return
		}
		mux.ServeHTTP(w, r)
	})))
}

func pod(name string, version int) object {
	return object{
		"kind": "Pod", "apiVersion": "v1",
		"metadata": object{"name": name, "namespace": "default", "resourceVersion": fmt.Sprint(version)},
		"spec":     object{"containers": []any{object{"name": "main", "ports": []any{object{"containerPort": 80}}}}},
		"status":   object{"phase": "Running"},
	}
}

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func answer(value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { write(w, value) }
}

// A feed of lines, which come by POST: those that begin with "pod " tell watchers of a pod, others are the log.
type feed struct {
	mutex sync.Mutex
	lines []string
	more  chan struct{}
}

func newFeed() *feed { return &feed{more: make(chan struct{})} }

func (f *feed) take(_ http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.lines = append(f.lines, string(text))
	close(f.more)
	f.more = make(chan struct{})
}

// Calls back with each line, those that are there first; ends with the request.
func (f *feed) each(r *http.Request, from int, tell func(number int, line string)) {
	for {
		f.mutex.Lock()
		lines, more := f.lines, f.more
		f.mutex.Unlock()
		for ; from < len(lines); from++ {
			tell(from, lines[from])
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

func (f *feed) log(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	f.each(r, 0, func(_ int, line string) {
		if strings.HasPrefix(line, "pod ") {
			return
		}
		fmt.Fprintln(w, line)
		flusher.Flush()
	})
}

func (f *feed) list(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	lines := f.lines
	f.mutex.Unlock()
	query := r.URL.Query()
	if query.Get("watch") == "" {
		items := []any{pod("web", 1)}
		for number, line := range lines {
			if name, isPod := strings.CutPrefix(line, "pod "); isPod {
				items = append(items, pod(name, number+2))
			}
		}
		write(w, object{
			"kind": "PodList", "apiVersion": "v1", "items": items,
			"metadata": object{"resourceVersion": fmt.Sprint(len(lines) + 1)},
		})
		return
	}
	from := 0
	_, _ = fmt.Sscan(query.Get("resourceVersion"), &from)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flusher := w.(http.Flusher)
	flusher.Flush()
	f.each(r, max(from-1, 0), func(number int, line string) {
		if name, isPod := strings.CutPrefix(line, "pod "); isPod {
			_ = json.NewEncoder(w).Encode(object{"type": "ADDED", "object": pod(name, number+2)})
			flusher.Flush()
		}
	})
}

// The streams of one exec, whichever framing carries them.
type execStreams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	status         io.Writer
}

func (s execStreams) run() {
	lines := bufio.NewReader(s.stdin)
	code := 0
	for s.stdin != nil {
		line, err := lines.ReadString('\n')
		if line == "exit\n" {
			code = 7
			break
		}
		_, _ = io.WriteString(s.stdout, line)
		if err != nil {
			break
		}
	}
	_, _ = io.WriteString(s.stderr, "the program has ended\n")
	status := object{"kind": "Status", "apiVersion": "v1", "status": "Success"}
	if code != 0 {
		cause := object{"reason": "ExitCode", "message": fmt.Sprint(code)}
		status = object{
			"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NonZeroExitCode",
			"message": "exit", "details": object{"causes": []any{cause}},
		}
	}
	text, _ := json.Marshal(status)
	_, _ = s.status.Write(text)
}

func exec(w http.ResponseWriter, r *http.Request) {
	if wsstream.IsWebSocketRequest(r) {
		connection := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{execProtocol: {
			Binary: true,
			Channels: []wsstream.ChannelType{
				wsstream.ReadChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.ReadChannel,
			},
		}})
		_, channels, err := connection.Open(w, r)
		if err != nil {
			return
		}
		execStreams{stdin: channels[0], stdout: channels[1], stderr: channels[2], status: channels[3]}.run()
		_ = connection.Close()
		fmt.Println("exec ended")
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{spdyProtocol}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 8)
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replied <-chan struct{}) error {
		go func() {
			<-replied
			streams <- s
		}()
		return nil
	})
	if connection == nil {
		return
	}
	defer connection.Close()
	byType := map[string]httpstream.Stream{}
	for len(byType) < 4 {
		select {
		case s := <-streams:
			byType[s.Headers().Get("streamType")] = s
		case <-connection.CloseChan():
			return
		}
	}
	execStreams{stdin: byType["stdin"], stdout: byType["stdout"], stderr: byType["stderr"], status: byType["error"]}.run()
	for _, s := range byType {
		_ = s.Close()
	}
	fmt.Println("exec ended")
}

func forwardPort(w http.ResponseWriter, r *http.Request) {
	if wsstream.IsWebSocketRequest(r) {
		websocket.Server{
			Handshake: func(config *websocket.Config, _ *http.Request) error {
				config.Protocol = []string{tunnel}
				return nil
			},
			Handler: func(ws *websocket.Conn) {
				ws.PayloadType = websocket.BinaryFrame
				ports := newPorts()
				connection, err := spdy.NewServerConnection(ws, ports.take)
				if err == nil {
					<-connection.CloseChan()
				}
				fmt.Println("port-forward ended")
			},
		}.ServeHTTP(w, r)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portForward}); err != nil {
		return
	}
	ports := newPorts()
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, ports.take)
	if connection == nil {
		return
	}
	<-connection.CloseChan()
	fmt.Println("port-forward ended")
}

// Connections to the pod's port, two streams each.
type ports struct {
	mutex  sync.Mutex
	errors map[string]httpstream.Stream
}

func newPorts() *ports { return &ports{errors: map[string]httpstream.Stream{}} }

func (p *ports) take(s httpstream.Stream, replied <-chan struct{}) error {
	id := s.Headers().Get("requestID")
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if s.Headers().Get("streamType") == "error" {
		p.errors[id] = s
		return nil
	}
	failures := p.errors[id]
	delete(p.errors, id)
	go func() {
		<-replied
		lines := bufio.NewReader(s)
		for {
			line, err := lines.ReadString('\n')
			_, _ = io.WriteString(s, line)
			if err != nil || line == "close\n" {
				break
			}
		}
		_ = s.Close()
		if failures != nil {
			_ = failures.Close()
		}
	}()
	return nil
}
