# frozen_string_literal: true

# A Rack application that responds to /, /echo, /bytes/N, /delay/MS and /status/CODE.
module App
  TEXT = { "Content-Type" => "text/plain" }.freeze
  BINARY = { "Content-Type" => "application/octet-stream" }.freeze
  LIMITS = { "bytes" => 0..(1 << 28), "delay" => 0..3_600_000, "status" => 200..599 }.freeze

  def self.call(env)
    case env["PATH_INFO"]
    when "/" then [200, TEXT, ["hello\n"]]
    when "/echo" then [200, BINARY, [env["rack.input"].read.to_s]]
    when %r{\A/(bytes|delay|status)/(\d{1,11})\z} then numbered(Regexp.last_match(1), Regexp.last_match(2).to_i)
    else [404, TEXT, ["nothing is here; there are /, /echo, /bytes/N, /delay/MS and /status/CODE\n"]]
    end
  end

  def self.numbered(name, number)
    limits = LIMITS.fetch(name)
    return [400, TEXT, ["/#{name}/ takes a number from #{limits.first} to #{limits.last}\n"]] unless limits.cover?(number)

    case name
    when "bytes" then [200, BINARY, ["x" * number]]
    when "delay" then delayed(number)
    when "status" then [number, TEXT, ["#{number}\n"]]
    end
  end

  def self.delayed(milliseconds)
    sleep(milliseconds / 1000.0)
    [200, TEXT, ["after #{milliseconds} ms\n"]]
  end
end
