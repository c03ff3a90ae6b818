"""A procedural city: place → picture, element mask, sound, perception, words.

It gives the embedded model and every test a world whose truth is known. **It is synthetic**: nothing measured on
it says anything about a real place.

==============  ==============================================================
``place``       the few numbers from which everything follows
``picture``     street-level view and exact element mask (`scenery` composes the scenes of `things`)
``sound``       ten seconds of soundscape (`sources` makes, from `waves`)
``perception``  six scores by a documented formula
``words``       scene prompts, made from ``vocabulary``
``city``        a harbour city: base map, sites with smoothly varying states
``writing``     all of it as files
==============  ==============================================================
"""
