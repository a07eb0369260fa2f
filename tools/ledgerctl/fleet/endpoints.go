package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// endpointSlices is what is read of `kubectl get endpointslices -o json`: discovery.k8s.io/v1.
type endpointSlices struct {
	Kind  string          `json:"kind"`
	Items []endpointSlice `json:"items"`
}

type endpointSlice struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Ports []struct {
		Name *string `json:"name"`
		Port *int    `json:"port"`
	} `json:"ports"`
	Endpoints []struct {
		Addresses []string `json:"addresses"`
		Hostname  string   `json:"hostname"`
		TargetRef struct {
			Name string `json:"name"`
		} `json:"targetRef"`
	} `json:"endpoints"`
}

// serviceLabel names the service that a slice belongs to.
const serviceLabel = "kubernetes.io/service-name"

// rootsPort is the port of a slice that serves roots, where it has several.
const rootsPort = "ledger-https"

// IsEndpoints reports whether a text is the JSON of Kubernetes rather than lines.
func IsEndpoints(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) }

// ParseEndpoints reads the targets from an EndpointSliceList. A cluster does not know the keys of
// ledgers: keys has a line for each pod, its name and its verifier key. Pods without a line are an error, since
// nothing of what they say could be checked; lines without a pod are passed over. A pod with a host name
// is asked by HOST.SERVICE, which is what its certificate says and what the DNS of its namespace knows, and others by
// their address.
func ParseEndpoints(text, keys []byte) (targets []Target, err error) {
	var list endpointSlices
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read the EndpointSlices: %w", err)
	}
	if list.Kind != "EndpointSliceList" && list.Kind != "List" {
		return nil, fmt.Errorf("read the EndpointSlices: the kind is %.40q, and EndpointSliceList is wanted", list.Kind)
	}
	vkeys, err := parsePodKeys(keys)
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		found, err := list.Items[i].targets(vkeys)
		if err != nil {
			return nil, err
		}
		targets = append(targets, found...)
	}
	return targets, checkTargets(targets)
}

func parsePodKeys(text []byte) (map[string]string, error) {
	keys := map[string]string{}
	for number, row := range strings.Split(string(text), "\n") {
		fields := strings.Fields(row)
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) != 2:
			return nil, fmt.Errorf("line %d of the keys: %d words where a pod and a verifier key are wanted", number+1, len(fields))
		default:
			keys[fields[0]] = fields[1]
		}
	}
	return keys, nil
}

func (s *endpointSlice) targets(vkeys map[string]string) (targets []Target, err error) {
	port, err := s.port()
	if err != nil {
		return nil, err
	}
	for _, e := range s.Endpoints {
		pod := e.TargetRef.Name
		if pod == "" {
			pod = e.Hostname
		}
		vkey, known := vkeys[pod]
		if !known {
			return nil, fmt.Errorf("pod %q has no line among the keys: what it publishes could not be checked", pod)
		}
		host := e.Hostname
		switch service := s.Metadata.Labels[serviceLabel]; {
		case host != "" && service != "":
			host += "." + service
		case len(e.Addresses) > 0:
			host = e.Addresses[0]
		default:
			return nil, fmt.Errorf("pod %q has no address", pod)
		}
		targets = append(targets, Target{URL: "https://" + net.JoinHostPort(host, strconv.Itoa(port)), VKey: vkey})
	}
	return targets, nil
}

func (s *endpointSlice) port() (int, error) {
	for _, p := range s.Ports {
		if p.Port != nil && (len(s.Ports) == 1 || p.Name != nil && *p.Name == rootsPort) {
			return *p.Port, nil
		}
	}
	return 0, errors.New("a slice of service " + s.Metadata.Labels[serviceLabel] + " has no port named " + rootsPort)
}
