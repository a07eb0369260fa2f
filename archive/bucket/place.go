package bucket

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Scheme begins the URL of a place in an object store.
const Scheme = "s3://"

const (
	regionDefault  = "us-east-1"
	timeoutDefault = 30 * time.Second
	timeoutMax     = 10 * time.Minute
)

// Place is what the URL of a place says.
type Place struct {
	Bucket   string
	Prefix   string // of every key, without slashes around it; empty: none
	Endpoint string // URL of the store; empty: AWS
	Region   string
	Timeout  time.Duration // of one attempt
}

// ParsePlace reads the URL of a place.
func ParsePlace(text string) (p Place, err error) {
	u, err := url.Parse(text)
	if err != nil { // its text is not repeated: somebody may have put a key into it
		return p, errors.New("it is not a URL: write s3://bucket/prefix?endpoint=https://host:port&region=name")
	}
	p = Place{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Region: regionDefault, Timeout: timeoutDefault}
	switch {
	case u.Scheme+"://" != Scheme || p.Bucket == "" || u.Opaque != "" || u.Port() != "":
		return p, errors.New("it must be like s3://bucket/prefix?endpoint=https://host:port&region=name")
	case u.User != nil:
		return p, errors.New("a key does not belong into the URL: put it into the file of archive.credentials, or the environment")
	case u.Fragment != "" || strings.Contains(p.Prefix, "//"):
		return p, errors.New("the prefix may hold neither # nor //")
	}
	return p, p.readQuery(u.RawQuery)
}

func (p *Place) readQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what follows the ? is not made of key=value with & between")
	}
	for key, all := range values {
		value := all[len(all)-1]
		switch key {
		case "endpoint":
			e, err := url.Parse(value)
			if err != nil || e.Scheme != "https" && e.Scheme != "http" || e.Host == "" || e.User != nil || e.RawQuery != "" || e.Path != "" && e.Path != "/" {
				return errors.New("the endpoint must be like https://host:port")
			}
			p.Endpoint = e.Scheme + "://" + e.Host
		case "region":
			p.Region = value
		case "timeout":
			p.Timeout, err = time.ParseDuration(value)
			if err != nil || p.Timeout < 10*time.Millisecond || p.Timeout > timeoutMax {
				return fmt.Errorf("the timeout must be like 30s, at most %s", timeoutMax)
			}
		default:
			return fmt.Errorf("%q is none of endpoint, region, timeout", key)
		}
	}
	if p.Region == "" {
		return errors.New("the region is empty")
	}
	return nil
}

// key returns the key of an object.
func (p *Place) key(name string) string {
	if p.Prefix == "" {
		return name
	}
	return p.Prefix + "/" + name
}
