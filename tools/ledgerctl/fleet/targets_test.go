package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/fleet"
)

func TestParseTargets(t *testing.T) {
	_, known := newNetwork(t, 3)
	a, b := known[0], known[1]
	for name, test := range map[string]struct {
		text string
		want []fleet.Target
		says string
	}{
		"two":                {fmt.Sprintf("# eu\n%s  %s\n\n\t%s\t%s\r\n", a.URL, a.VKey, b.URL, b.VKey), []fleet.Target{a, b}, ""},
		"none":               {"\n# none yet\n", nil, ""},
		"a word too many":    {a.URL + " " + a.VKey + " x", nil, "line 1: 3 words"},
		"no key":             {"\n" + a.URL, nil, "line 2: 1 words"},
		"plain HTTP":         {"http://a:1 " + a.VKey, nil, "https://HOST:PORT is wanted"},
		"no verifier key":    {a.URL + " key", nil, "read the verifier key of " + a.URL},
		"a URL twice":        {a.URL + " " + a.VKey + "\n" + a.URL + " " + b.VKey, nil, "is there twice"},
		"a key twice":        {a.URL + " " + a.VKey + "\n" + b.URL + " " + a.VKey, nil, "have one verifier key"},
		"a key with garbage": {a.URL + " " + a.VKey + "x", nil, "read the verifier key"},
	} {
		got, err := fleet.ParseTargets([]byte(test.text))
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		} else if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// endpointList is what kubectl prints of a stateful set behind a headless service, and of a pod without a name.
const endpointList = `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",
 "metadata":{"name":"ron-ledger-x","namespace":"bank","labels":{"kubernetes.io/service-name":"ron-ledger"}},
 "ports":[{"name":"metrics","port":9090,"protocol":"TCP"},{"name":"ledger-https","port":5082,"protocol":"TCP"}],
 "endpoints":[
  {"addresses":["10.0.0.7"],"hostname":"ledger-0","conditions":{"ready":false},"targetRef":{"kind":"Pod","name":"ledger-0"}},
  {"addresses":["10.0.0.8"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"shop-7d9f"}}]}]}`

func TestParseEndpoints(t *testing.T) {
	_, known := newNetwork(t, 2)
	keys := fmt.Sprintf("# pods\nledger-0 %s\nshop-7d9f %s\ngone-1 %s\n", known[0].VKey, known[1].VKey, known[0].VKey)
	want := []fleet.Target{{URL: "https://ledger-0.ron-ledger:5082", VKey: known[0].VKey}, {URL: "https://10.0.0.8:5082", VKey: known[1].VKey}}
	if !fleet.IsEndpoints([]byte("\n"+endpointList)) || fleet.IsEndpoints([]byte("https://a b")) {
		t.Error("JSON is not told from lines")
	}
	got, err := fleet.ParseEndpoints([]byte(endpointList), []byte(keys))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, test := range map[string]struct{ text, keys, says string }{
		"a pod without a key": {endpointList, "ledger-0 " + known[0].VKey, `pod "shop-7d9f" has no line`},
		"no slices":           {`{"kind":"PodList","items":[]}`, keys, "EndpointSliceList is wanted"},
		"no JSON":             {`{`, keys, "read the EndpointSlices"},
		"another port":        {strings.Replace(endpointList, "ledger-https", "other", 1), keys, "no port named ledger-https"},
		"a line of one word":  {endpointList, "ledger-0", "line 1 of the keys"},
	} {
		if _, err := fleet.ParseEndpoints([]byte(test.text), []byte(test.keys)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
