# The gem of the binding: gem build coppice.gemspec
Gem::Specification.new do |gem|
  gem.name = "coppice"
  gem.version = "0.1.0"
  gem.summary = "Actors of a Coppice tree, by its C library"
  gem.authors = ["Coppice"]
  gem.license = "MIT"
  gem.required_ruby_version = ">= 3.1"
  gem.files = Dir["lib/**/*.rb", "examples/*.rb", "README.md", base: __dir__]
end
