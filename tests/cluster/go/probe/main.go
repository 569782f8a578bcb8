// Command probe is the whole content of the tests' image, and the cluster's own small tool.
//
//	probe                     does nothing until it is told to end (the pause of a pod)
//	probe serve [HOST:]PORT…  answers HTTP and echoes UDP there
//	probe reach TARGET…       tries all at once and prints one JSON object {target: verdict}
//	probe relay FD HOST:PORT  passes connections on; the listening socket is that descriptor
//
// Targets: tcp://HOST:PORT, udp://HOST:PORT, dns://NAME (the pod's own resolver), dns://NAME@HOST:PORT.
// Verdicts: "open", "refused", "silent", "no such name", or the error. Only "silent" means that nothing came back.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 1500 * time.Millisecond

func main() {
	command, arguments := "", []string{}
	if len(os.Args) > 1 {
		command, arguments = os.Args[1], os.Args[2:]
	}
	var problem error
	switch command {
	case "":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
		<-ended
	case "serve":
		problem = serve(arguments)
	case "reach":
		problem = json.NewEncoder(os.Stdout).Encode(reach(arguments))
	case "relay":
		problem = relay(arguments[0], arguments[1])
	default:
		problem = fmt.Errorf("no such command: %s", command)
	}
	if problem != nil {
		fmt.Fprintln(os.Stderr, "probe:", problem)
		os.Exit(1)
	}
}

func serve(addresses []string) error {
	failed := make(chan error)
	for _, address := range addresses {
		if !strings.Contains(address, ":") {
			address = ":" + address
		}
		packets, problem := net.ListenPacket("udp", address)
		if problem != nil {
			return problem
		}
		go echo(packets)
		go func() { failed <- http.ListenAndServe(address, http.HandlerFunc(hello)) }()
	}
	return <-failed
}

func echo(packets net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		count, sender, problem := packets.ReadFrom(buffer)
		if problem == nil {
			packets.WriteTo(buffer[:count], sender)
		}
	}
}

func hello(answer http.ResponseWriter, request *http.Request) {
	name, _ := os.Hostname()
	fmt.Println(request.RemoteAddr, request.Host, request.URL)
	fmt.Fprintf(answer, "%s to %s\n", name, request.RemoteAddr)
}

func reach(targets []string) map[string]string {
	verdicts := make(map[string]string, len(targets))
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, target := range targets {
		all.Add(1)
		go func() {
			defer all.Done()
			verdict := verdictOn(try(target))
			lock.Lock()
			defer lock.Unlock()
			verdicts[target] = verdict
		}()
	}
	all.Wait()
	return verdicts
}

func try(target string) error {
	kind, where, found := strings.Cut(target, "://")
	if !found {
		return fmt.Errorf("not a target: %s", target)
	}
	switch kind {
	case "dns":
		return look(where)
	case "udp":
		return exchange(where)
	case "tcp":
		connection, problem := net.DialTimeout("tcp", where, patience)
		if problem == nil {
			connection.Close()
		}
		return problem
	}
	return fmt.Errorf("not a target: %s", target)
}

func exchange(where string) error {
	connection, problem := net.Dial("udp", where)
	if problem != nil {
		return problem
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	if _, problem = connection.Write([]byte("?")); problem != nil {
		return problem
	}
	_, problem = connection.Read(make([]byte, 1))
	return problem
}

func look(where string) error {
	name, server, chosen := strings.Cut(where, "@")
	resolver := &net.Resolver{PreferGo: true}
	if chosen {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, problem := resolver.LookupNetIP(limit, "ip4", name)
	return problem
}

func verdictOn(problem error) string {
	var network net.Error
	var name *net.DNSError
	switch {
	case problem == nil:
		return "open"
	case errors.As(problem, &name) && name.IsNotFound:
		return "no such name"
	// The resolver keeps the words of what went wrong, not the error itself.
	case errors.Is(problem, syscall.ECONNREFUSED), strings.Contains(problem.Error(), "connection refused"):
		return "refused"
	case errors.As(problem, &network) && network.Timeout():
		return "silent"
	}
	return problem.Error()
}

func relay(descriptor, target string) error {
	number, problem := strconv.Atoi(descriptor)
	if problem != nil {
		return problem
	}
	listener, problem := net.FileListener(os.NewFile(uintptr(number), "listener"))
	if problem != nil {
		return problem
	}
	for {
		client, problem := listener.Accept()
		if problem != nil {
			return problem
		}
		go pass(client, target)
	}
}

func pass(client net.Conn, target string) {
	defer client.Close()
	server, problem := net.DialTimeout("tcp", target, 5*time.Second)
	if problem != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			io.Copy(pair[0], pair[1])
			pair[0].(*net.TCPConn).CloseWrite()
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}
